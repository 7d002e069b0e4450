//! Calls on behalf of a session that another process has opened, one at a time. Any node takes
//! them.

use std::time::Duration;

use bytes::Bytes;
use holdfast_client::Proof;
use holdfast_proto::v1::queues_client::QueuesClient;
use holdfast_proto::v1::sessions_client::SessionsClient;
use holdfast_proto::v1::{
    Extend, ExtendRequest, Guard, RenewRequest, SessionRef, Settle, SettleRequest, Settlement,
};
use holdfast_proto::{Dialer, ErrorCode, error_of};
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::ticket::Ticket;
use crate::args::EndpointArgs;
use crate::client;
use crate::duration::ms;
use crate::failure::{Failure, LOST};

/// How long a call may take, over all nodes and all attempts. An election fits in.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one node may take to answer before the next one is asked.
const NODE_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause before all nodes are asked once more.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The nodes, to be asked one after the other.
pub(super) struct Nodes<'a> {
    endpoints: &'a [String],
    dialer: Dialer,
    under: Option<Proof>,
}

/// What came of a call.
enum Trouble {
    /// Nothing was done: the next node may be asked.
    Elsewhere(String),
    /// The answer stands.
    Final(Failure),
}

impl<'a> Nodes<'a> {
    /// Calls are made on behalf of `under`, if it is given.
    pub(super) fn new(args: &'a EndpointArgs, under: Option<Proof>) -> Result<Self, Failure> {
        Ok(Self { endpoints: &args.endpoints, dialer: client::dialer(args)?, under })
    }

    /// Ends a delivery.
    pub(super) async fn settle(
        &self,
        ticket: &Ticket,
        how: Settlement,
        delay: Duration,
    ) -> Result<(), Failure> {
        let settle = Settle {
            queue: ticket.queue.clone(),
            receipts: vec![ticket.receipt.into()],
            how: how.into(),
            delay_ms: ms(delay),
        };
        let request = SettleRequest {
            session_id: ticket.session_id,
            secret: ticket.secret.clone().into(),
            seq: 0,
            settle: Some(settle),
            confirmed: 0,
            guard: self.guard(),
        };
        self.call(|channel| {
            let request = request.clone();
            async move { QueuesClient::new(channel).settle(request).await }
        })
        .await
        .map(drop)
    }

    /// Makes a delivery last longer.
    pub(super) async fn extend(&self, ticket: &Ticket, time: Duration) -> Result<(), Failure> {
        let extend = Extend {
            queue: ticket.queue.clone(),
            receipts: vec![ticket.receipt.into()],
            visibility_ms: ms(time),
        };
        let request = ExtendRequest {
            session_id: ticket.session_id,
            secret: ticket.secret.clone().into(),
            seq: 0,
            extend: Some(extend),
            confirmed: 0,
            guard: self.guard(),
        };
        self.call(|channel| {
            let request = request.clone();
            async move { QueuesClient::new(channel).extend(request).await }
        })
        .await
        .map(drop)
    }

    /// Renews a session, and answers how long it lives from now on.
    pub(super) async fn renew(&self, id: u64, secret: &[u8]) -> Result<Duration, Failure> {
        let session = SessionRef { id, secret: Bytes::copy_from_slice(secret) };
        let request = RenewRequest { session: Some(session) };
        let renewed = self.call(|channel| {
            let request = request.clone();
            async move { SessionsClient::new(channel).renew(request).await }
        });
        Ok(Duration::from_millis(renewed.await?.ttl_ms))
    }

    fn guard(&self) -> Option<Guard> {
        let under = self.under.as_ref()?;
        Some(Guard { name: under.name().to_owned(), token: under.token() })
    }

    /// Calls one node after the other until one has answered.
    async fn call<T, F>(&self, call: impl Fn(Channel) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            let mut said = Vec::new();
            for endpoint in self.endpoints {
                let answer = match self.open(endpoint).await {
                    Ok(channel) => ask(call(channel)).await,
                    Err(trouble) => Err(trouble),
                };
                match answer {
                    Ok(answer) => return Ok(answer),
                    Err(Trouble::Final(failure)) => return Err(failure),
                    Err(Trouble::Elsewhere(why)) => said.push(format!("{endpoint}: {why}")),
                }
            }
            if Instant::now() >= give_up_at {
                return Err(Failure::failed(format!(
                    "{}; see `holdfast status`, or name other nodes with --endpoints",
                    said.join("; ")
                )));
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    }

    async fn open(&self, endpoint: &str) -> Result<Channel, Trouble> {
        let address = endpoint.trim_start_matches("http://");
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| {
            let what = format!("{endpoint:?} is no address of a node; write host:port");
            Trouble::Final(Failure::usage(what))
        })?;
        let endpoint = endpoint.connect_timeout(NODE_TIMEOUT);
        endpoint.connect_with_connector(self.dialer.clone()).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            Trouble::Elsewhere(cause.unwrap_or_else(|| error.to_string()))
        })
    }
}

async fn ask<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Trouble> {
    match tokio::time::timeout(NODE_TIMEOUT, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(trouble(&status)),
        Err(_) => Err(unknown("no answer came in time")),
    }
}

fn trouble(status: &Status) -> Trouble {
    let Some(error) = error_of(status) else {
        return unknown(status.message());
    };
    let (code, message) = (error.code(), error.message);
    let refused = format!("refused with {}: {message}", code.as_str_name());
    match code {
        ErrorCode::NotLeader | ErrorCode::Unavailable | ErrorCode::ShuttingDown => {
            Trouble::Elsewhere(message)
        }
        ErrorCode::UnknownSession | ErrorCode::UnknownReceipt | ErrorCode::ForeignReceipt => {
            let over = "the delivery is over, and the message may be delivered again";
            Trouble::Final(Failure::new(LOST, format!("{over}: {refused}")))
        }
        ErrorCode::StaleToken => {
            Trouble::Final(Failure::new(LOST, format!("{refused}; use --alone to do it anyway")))
        }
        ErrorCode::InvalidRequest | ErrorCode::InvalidName | ErrorCode::WrongSecret => {
            Trouble::Final(Failure::usage(format!("{refused}; see --help")))
        }
        ErrorCode::OutcomeUnknown | ErrorCode::Internal => unknown(&message),
        _ => Trouble::Final(Failure::failed(refused)),
    }
}

fn unknown(message: &str) -> Trouble {
    Trouble::Final(Failure::failed(format!(
        "it is not known whether it was done: {message}; look with `holdfast queue peek`"
    )))
}
