//! `holdfast cache get`, `del`, `cas` and `add`: one value, once.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use holdfast_client::{CacheValue, Client, Error, Proof};
use serde_json::json;

use super::cache_under;
use crate::args::Output;
use crate::args::cache::{AddArgs, BodyArgs, CasArgs, DelArgs, GetArgs};
use crate::commands::bodies::add_body;
use crate::commands::faults::{SESSION_TTL, failed};
use crate::commands::{lines, outer};
use crate::counted::{agreed, counted};
use crate::failure::{Failure, NOT_NOW, OK};
use crate::{client, output};

/// Writes a value as it is, or as an object.
pub(super) async fn get(args: &GetArgs) -> Result<u8, Failure> {
    let client = client::connect(&args.endpoints, "holdfast cache get", SESSION_TTL).await?;
    // No copy is kept, so nobody has to ask for it.
    let got = client.cache(&args.name).uncached().get(&args.key).await;
    client::close(client).await;
    let what = format!("cannot read {:?} in {:?}", args.key, args.name);
    let Some(value) = got.map_err(|error| failed(&what, &error))? else {
        return Err(Failure::new(
            NOT_NOW,
            format!(
                "nothing is stored under {:?} in {:?}; see `holdfast cache list`, or store it with \
                 `holdfast cache put`",
                args.key, args.name
            ),
        ));
    };
    match args.output.output {
        Output::Table => write_raw(&value)?,
        Output::Json => {
            let mut object =
                json!({ "cache": args.name, "key": args.key, "version": value.version });
            add_body(&mut object, &value.body);
            output::print(format!("{object}\n"))?;
        }
    }
    Ok(OK)
}

fn write_raw(value: &CacheValue) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(&value.body).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "cannot write to standard output: {error}; look where it leads"
        ))),
        _ => Ok(()),
    }
}

/// What was given as an argument or a file, or else the standard input.
pub(super) fn body(args: &BodyArgs) -> Result<Vec<u8>, Failure> {
    match (&args.body, &args.file) {
        (Some(body), _) => Ok(body.as_bytes().to_vec()),
        (None, Some(file)) => lines::whole(file),
        (None, None) => {
            lines::refuse_terminal("no value is given, and the standard input is a terminal")?;
            lines::whole_input()
        }
    }
}

/// Removes values, and says how many there were.
pub(super) async fn del(args: &DelArgs) -> Result<u8, Failure> {
    if args.version.is_some() && args.keys.len() > 1 {
        let many = args.keys.len();
        return Err(Failure::usage(format!(
            "--version is for one key, and these are {many}; remove them one by one"
        )));
    }
    let outer = outer::lock(args.under.alone)?;
    let client = client::connect(&args.endpoints, "holdfast cache del", SESSION_TTL).await?;
    let outcome = del_all(&client, args, outer).await;
    client::close(client).await;
    let count = outcome?;
    output::print(format!("removed {} from {}\n", counted(count, "entry"), args.name))?;
    Ok(OK)
}

async fn del_all(client: &Client, args: &DelArgs, outer: Option<Proof>) -> Result<u64, Failure> {
    let cache = cache_under(client, &args.name, outer);
    let mut count = 0;
    for key in &args.keys {
        let removed = match args.version {
            Some(version) => cache.compare_and_delete(key, version).await.map(|()| true),
            None => cache.delete(key).await,
        };
        let removed = removed.map_err(|error| {
            let so_far = if count > 0 {
                format!(", {} before it {}", count, agreed(count, "was", "were"))
            } else {
                String::new()
            };
            failed(&format!("cannot remove {key:?} from {:?}{so_far}", args.name), &error)
        });
        count += u64::from(removed?);
    }
    Ok(count)
}

/// Stores a value if the present one has a certain version, and prints the new one.
pub(super) async fn cas(args: &CasArgs) -> Result<u8, Failure> {
    let outer = outer::lock(args.under.alone)?;
    let body = body(&args.body)?;
    let client = client::connect(&args.endpoints, "holdfast cache cas", SESSION_TTL).await?;
    let cache = cache_under(&client, &args.name, outer);
    let stored = match args.body.ttl {
        Some(ttl) => cache.compare_and_put_for(&args.key, args.version, body, ttl).await,
        None => cache.compare_and_put(&args.key, args.version, body).await,
    };
    client::close(client).await;
    let what = format!("cannot store {:?} in {:?}", args.key, args.name);
    print_number(stored, &what)
}

/// Adds to a number, and prints the sum.
pub(super) async fn add(args: &AddArgs) -> Result<u8, Failure> {
    let outer = outer::lock(args.under.alone)?;
    let client = client::connect(&args.endpoints, "holdfast cache add", SESSION_TTL).await?;
    let cache = cache_under(&client, &args.name, outer);
    let sum = cache.add(&args.key, args.number).await;
    client::close(client).await;
    print_number(sum, &format!("cannot add to {:?} in {:?}", args.key, args.name))
}

/// Prints what came of a write.
pub(super) fn print_number(
    number: Result<impl std::fmt::Display, Error>,
    what: &str,
) -> Result<u8, Failure> {
    let number = number.map_err(|error| failed(what, &error))?;
    output::print(format!("{number}\n"))?;
    Ok(OK)
}
