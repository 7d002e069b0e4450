//! Requests as any HTTP client would make them: each on a connection of its own, which is closed
//! when the request is given up.

use bytes::Bytes;
use holdfast_tests::observe::PATIENCE;
use http_body_util::{BodyExt, Full};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A node, as HTTP clients see it.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    address: String,
}

/// A session that was opened over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) id: u64,
    pub(crate) secret: String,
}

/// A request that is being put together.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    address: String,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// What was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Http {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned() }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn ask(&self, method: &str, path: &str) -> Asking {
        Asking {
            address: self.address.clone(),
            method: method.parse().expect("a method"),
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Asking {
        self.ask("GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Asking {
        self.ask("POST", path)
    }

    pub(crate) fn put(&self, path: &str) -> Asking {
        self.ask("PUT", path)
    }

    pub(crate) fn delete(&self, path: &str) -> Asking {
        self.ask("DELETE", path)
    }

    /// Opens a session that outlives the test.
    pub(crate) async fn login(&self) -> Login {
        let opened = self.post("/v1/sessions").json(&json!({ "ttl_ms": 60_000 })).send().await;
        let opened = opened.is(201).value();
        let id = opened["id"].as_u64().expect("an id");
        Login { id, secret: opened["secret"].as_str().expect("a secret").to_owned() }
    }
}

impl Asking {
    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        let name: HeaderName = name.parse().expect("a name");
        let value = HeaderValue::from_bytes(value.to_string().as_bytes()).expect("a value");
        self.headers.append(name, value);
        self
    }

    /// By whom.
    pub(crate) fn by(self, login: &Login) -> Self {
        self.header("Holdfast-Session", login.id).header("Holdfast-Secret", &login.secret)
    }

    /// By whom, and under which number.
    pub(crate) fn numbered(self, login: &Login, number: u64) -> Self {
        self.by(login).header("Idempotency-Key", number)
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    /// Sends it, again while there is no leader: on a busy machine one may be replaced at any
    /// moment. What is refused because there is none was not done.
    pub(crate) async fn send(self) -> Answer {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            let answer = self.clone().send_once().await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE || Instant::now() > give_up_at {
                return answer;
            }
        }
    }

    /// Sends it. To drop the future closes the connection.
    pub(crate) async fn send_once(self) -> Answer {
        let stream = TcpStream::connect(&self.address).await.expect("the node listens");
        let shake_hands = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = shake_hands.await.expect("HTTP/1.1");
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let mut request = Request::builder().method(self.method).uri(&self.path);
        request.headers_mut().expect("a good request").extend(self.headers);
        let request = request.header("host", &self.address).body(Full::new(self.body));
        let answer = sender.send_request(request.expect("a good request")).await;
        let (head, body) = answer.expect("an answer").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }
}

impl Answer {
    /// Asserts the status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn value(&self) -> Value {
        assert_eq!(self.text("content-type"), "application/json", "{self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// A header as text; empty if it is not there.
    pub(crate) fn text(&self, header: &str) -> &str {
        let value = self.headers.get(header);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    /// A header as a number.
    #[track_caller]
    pub(crate) fn number(&self, header: &str) -> u64 {
        self.text(header).parse().unwrap_or_else(|_| panic!("{header} is no number: {self:?}"))
    }

    /// A number in the body.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> u64 {
        self.value()[name].as_u64().unwrap_or_else(|| panic!("no number {name}: {self:?}"))
    }

    /// Asserts that it is a problem in every respect, with this status and code, and that it says
    /// this.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str, says: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.text("content-type"), "application/problem+json", "{self:?}");
        let problem: Value = serde_json::from_slice(&self.body).expect("JSON");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("/v1/errors/{code}"), "{problem}");
        assert!(problem["title"].as_str().is_some_and(|title| title.len() > 5), "{problem}");
        assert!(problem["retryable"].is_boolean(), "{problem}");
        let detail = problem["detail"].as_str().expect("text");
        assert!(detail.contains(says), "{detail:?} does not say {says:?}");
    }
}
