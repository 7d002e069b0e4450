//! `holdfast queue peek`: what is in a queue, without taking it.

use holdfast_client::{Client, Error, MessageInfo, MessagePlace};
use serde_json::{Value, json};

use super::written::{death_json, death_text, headers_json};
use crate::args::{Output, PeekArgs, Place};
use crate::commands::bodies::{add_body, beginning};
use crate::commands::faults::{SESSION_TTL, failed};
use crate::duration::{ms, show};
use crate::failure::{Failure, OK};
use crate::table::{Align, Table};
use crate::{client, output, size};

/// How many messages one question may ask for.
const AT_A_TIME: u32 = 1_000;

/// Shows messages in the order of their numbers.
pub(super) async fn run(args: &PeekArgs) -> Result<u8, Failure> {
    let client = client::connect(&args.endpoints, "holdfast queue peek", SESSION_TTL).await?;
    let looked = look(&client, args).await;
    client::close(client).await;
    let messages =
        looked.map_err(|error| failed(&format!("cannot look into {:?}", args.name), &error))?;
    match args.output.output {
        Output::Table => output::print(table(&messages))?,
        Output::Json => {
            let messages: Value = messages.iter().map(message_json).collect();
            let shown = json!({ "queue": args.name, "messages": messages });
            output::print(format!("{shown:#}\n"))?;
        }
    }
    Ok(OK)
}

/// Fewer than asked for may come at a time, so it is asked until nothing comes.
async fn look(client: &Client, args: &PeekArgs) -> Result<Vec<MessageInfo>, Error> {
    let queue = client.queue(&args.name);
    let place = args.place.map(|place| match place {
        Place::Ready => MessagePlace::Ready,
        Place::Delayed => MessagePlace::Delayed,
        Place::InFlight => MessagePlace::InFlight,
        Place::Parked => MessagePlace::Parked,
    });
    let (mut messages, mut left, mut after) = (Vec::new(), args.count, args.after);
    while left > 0 {
        let more = queue.peek(after, left.min(AT_A_TIME), place).await?;
        let Some(last) = more.last() else { break };
        after = last.message;
        left = left.saturating_sub(u32::try_from(more.len()).unwrap_or(u32::MAX));
        messages.extend(more);
    }
    Ok(messages)
}

fn table(messages: &[MessageInfo]) -> String {
    let mut table = Table::new(&[
        ("MESSAGE", Align::Right),
        ("PLACE", Align::Left),
        ("PRIORITY", Align::Right),
        ("GROUP", Align::Left),
        ("DELIVERIES", Align::Right),
        ("AGE", Align::Right),
        ("UNTIL", Align::Right),
        ("SIZE", Align::Right),
        ("BODY", Align::Left),
        ("", Align::Left),
    ]);
    for message in messages {
        table.row([
            message.message.to_string(),
            message.place.map_or("unknown", place).into(),
            message.priority.to_string(),
            message.group.clone().unwrap_or_default(),
            message.deliveries.to_string(),
            show(ms(message.age)),
            message.until.map(|until| show(ms(until))).unwrap_or_default(),
            size::show(message.body.len() as u64),
            beginning(&message.body),
            message.death.as_ref().map(death_text).unwrap_or_default(),
        ]);
    }
    table.render()
}

fn place(place: MessagePlace) -> &'static str {
    match place {
        MessagePlace::Ready => "ready",
        MessagePlace::Delayed => "delayed",
        MessagePlace::InFlight => "in flight",
        MessagePlace::Parked => "parked",
    }
}

fn message_json(message: &MessageInfo) -> Value {
    let headers = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut object = json!({
        "id": message.message,
        "place": message.place.map(|at| place(at).replace(' ', "-")),
        "headers": headers_json(headers),
        "group": message.group,
        "priority": message.priority,
        "deliveries": message.deliveries,
        "age_ms": ms(message.age),
        "until_ms": message.until.map(ms),
        "session_id": message.session_id,
        "bytes": message.body.len(),
        "death": message.death.as_ref().map(death_json),
    });
    add_body(&mut object, &message.body);
    object
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use holdfast_client::{DeadReason, Death};

    use super::*;

    #[test]
    fn a_row_has_what_matters_and_cannot_steer_a_terminal() {
        let message = MessageInfo {
            message: 17,
            place: Some(MessagePlace::InFlight),
            body: Bytes::from_static(b"to:\x1b[2J all\n"),
            headers: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
            group: None,
            priority: 3,
            deliveries: 2,
            age: Duration::from_secs(61),
            until: Some(Duration::from_millis(1_500)),
            session_id: Some(9),
            death: None,
        };
        let death = Death {
            queue: "jobs".into(),
            message: 4,
            reason: Some(DeadReason::Deliveries),
            deliveries: 20,
            ago: Duration::from_secs(5),
        };
        let dead = MessageInfo {
            message: 18,
            place: Some(MessagePlace::Parked),
            body: Bytes::from_static(b"x"),
            until: None,
            death: Some(death),
            group: Some("g".into()),
            ..message.clone()
        };
        let expect = "\
MESSAGE  PLACE      PRIORITY  GROUP  DELIVERIES    AGE  UNTIL  SIZE  BODY
     17  in flight         3                  2  1m 1s   1.5s  12 B  to:\u{fffd}[2J all\u{fffd}
     18  parked            3  g               2  1m 1s          1 B  x             died after 20 \
deliveries, 5.0s ago, 4 of jobs
";
        assert_eq!(table(&[message.clone(), dead]), expect);
        let object = message_json(&message);
        assert_eq!(object["place"], "in-flight");
        assert_eq!(object["headers"][1], json!({ "name": "a", "value": "2" }));
        assert_eq!(object["body"], "to:\u{1b}[2J all\n");
    }
}
