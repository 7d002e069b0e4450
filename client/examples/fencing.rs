//! How a token protects something outside of Holdfast from a holder who comes too late.
//!
//! The file below is guarded by a fence, and keeps the fence's number in its first line. So a
//! writer who was stopped for so long that its lock went to somebody else cannot overwrite the
//! newer work, even if it never noticed the loss, and even if the program that keeps the file was
//! started again in between.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example fencing`

use std::path::{Path, PathBuf};
use std::{fs, io};

use holdfast_client::{Client, Fence};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let path = std::env::temp_dir().join(format!("holdfast-fencing-{}", std::process::id()));
    let client = Client::connect(endpoints()).await?;
    let mutex = client.mutex("examples/guarded-file");

    let first = mutex.lock().await?;
    let late_token = first.token();
    println!("the first holder has token {late_token}");
    let mut file = GuardedFile::open(&path)?;
    report(file.write(late_token, "balance 10"));
    // From here on the first holder is paused, and only believes that it has the lock.
    first.unlock().await?;

    let second = mutex.lock().await?;
    println!("the second holder has token {}", second.token());
    report(file.write(second.token(), "balance 25"));

    println!("the first holder wakes up and writes with its old token");
    let mut file = GuardedFile::open(&path)?;
    report(file.write(late_token, "balance 11"));
    println!("the file says: {}", file.text);

    second.unlock().await?;
    client.close().await?;
    Ok(fs::remove_file(path)?)
}

/// A file that checks tokens. Its first line is the highest that it has seen.
struct GuardedFile {
    path: PathBuf,
    fence: Fence,
    text: String,
}

impl GuardedFile {
    fn open(path: &Path) -> Result<Self, Failure> {
        let path = path.to_owned();
        let content = match fs::read_to_string(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => "0\n".to_owned(),
            Err(error) => return Err(error.into()),
        };
        let (highest, text) = content.split_once('\n').ok_or("the file has no first line")?;
        Ok(Self { fence: Fence::starting_at(highest.parse()?), text: text.to_owned(), path })
    }

    /// Takes the file for itself alone, so that the check and the write are one step.
    fn write(&mut self, token: u64, text: &str) -> Result<(), Failure> {
        self.fence.check(token)?;
        fs::write(&self.path, format!("{}\n{text}", self.fence.highest()))?;
        self.text = text.to_owned();
        Ok(())
    }
}

fn report(written: Result<(), Failure>) {
    match written {
        Ok(()) => println!("  written"),
        Err(why) => println!("  refused: {why}"),
    }
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
