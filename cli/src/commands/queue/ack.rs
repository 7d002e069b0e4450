//! `holdfast queue ack`: ends deliveries that another process was given.

use std::time::Duration;

use holdfast_proto::v1::Settlement;

use super::ticket::Ticket;
use super::unary::Nodes;
use crate::args::AckArgs;
use crate::commands::outer;
use crate::duration::{ms, show};
use crate::failure::{Failure, OK};
use crate::output;

/// Does the same to every ticket, also if it fails for one of them.
pub(super) async fn run(args: &AckArgs) -> Result<u8, Failure> {
    let nodes = Nodes::new(&args.endpoints, outer::lock(args.under.alone)?)?;
    // All of them are read before anything is done.
    let tickets = args.tickets.iter().map(|text| {
        Ticket::decode(text)
            .map_err(|why| Failure::usage(format!("{:?} is no ticket: {why}", beginning(text))))
    });
    let tickets = tickets.collect::<Result<Vec<Ticket>, Failure>>()?;
    let mut outcome = Ok(OK);
    for ticket in &tickets {
        if let Err(failure) = settle(&nodes, ticket, args).await {
            let (id, queue) = (ticket.receipt.message, &ticket.queue);
            let code = failure.code;
            let failure = Failure::new(code, format!("message {id} of {queue:?}: {failure}"));
            if let Err(earlier) = std::mem::replace(&mut outcome, Err(failure)) {
                output::error_line(&earlier);
            }
        }
    }
    outcome
}

async fn settle(nodes: &Nodes<'_>, ticket: &Ticket, args: &AckArgs) -> Result<(), Failure> {
    if let Some(time) = args.extend {
        nodes.extend(ticket, time).await?;
        let lives = nodes.renew(ticket.session_id, &ticket.secret).await?;
        if lives < time {
            output::warning_line(format!(
                "the ticket is good for {} only, as long as its session lives; extend it again \
                 before that",
                show(ms(lives))
            ));
        }
        return Ok(());
    }
    let how = match (args.give_back, args.dead) {
        (true, _) => Settlement::Return,
        (_, true) => Settlement::Dead,
        _ => Settlement::Ack,
    };
    nodes.settle(ticket, how, args.delay.unwrap_or(Duration::ZERO)).await
}

/// Enough of what was typed to find it again. A ticket is a secret, and may be long.
fn beginning(text: &str) -> String {
    match text.char_indices().nth(12) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
