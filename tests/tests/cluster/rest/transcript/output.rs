//! What `curl` prints: with `-i` a head, and a body that may be JSON.

use serde_json::Value;

/// Headers that say nothing of Holdfast.
const LEFT_OUT: [&str; 4] = ["date", "content-length", "connection", "transfer-encoding"];

/// It, taken apart.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// With `-i`.
    pub(super) status_line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Output {
    pub(super) fn read(text: &str) -> Self {
        if !text.starts_with("HTTP/") {
            return Self { body: text.trim_end().to_owned(), ..Self::default() };
        }
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status_line = lines.next().unwrap_or_default().trim_end().to_owned();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers = headers.filter(|(name, _)| !LEFT_OUT.contains(&name.as_str())).collect();
        Self { status_line, headers, body: body.trim_end().to_owned() }
    }

    /// The same as it stands in the guide.
    pub(super) fn tidied(&self) -> String {
        let mut text = String::new();
        if !self.status_line.is_empty() {
            text = self.status_line.clone() + "\n";
            for (name, value) in &self.headers {
                text += &format!("{name}: {value}\n");
            }
            if !self.body.is_empty() {
                text += "\n";
            }
        }
        text + &self.body
    }

    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// Whether whoever reads this can see that it was not answered by a status of success, if it
    /// was not.
    pub(super) fn allows(&self, status: u16) -> bool {
        let is_in_problem = || self.json().is_some_and(|body| body["status"] == status);
        (200..300).contains(&status)
            || self.status_line.contains(&format!(" {status} "))
            || is_in_problem()
    }

    /// Where a value stands.
    pub(super) fn place_of(&self, value: &str) -> Option<String> {
        let in_headers = self.headers.iter().find(|(_, of_header)| of_header == value);
        in_headers.map(|(name, _)| name.clone()).or_else(|| {
            let body = self.json()?;
            let mut place = Vec::new();
            search(&body, value, &mut place).then(|| place.join("."))
        })
    }

    /// The value at a place.
    pub(super) fn at(&self, place: &str) -> Option<String> {
        let in_headers = self.headers.iter().find(|(name, _)| name == place);
        in_headers.map(|(_, value)| value.clone()).or_else(|| {
            let body = self.json()?;
            let pointer = format!("/{}", place.replace('.', "/"));
            body.pointer(&pointer).map(plain)
        })
    }
}

/// Finds a value, by the path to it.
fn search(body: &Value, value: &str, place: &mut Vec<String>) -> bool {
    let inner: Vec<(String, &Value)> = match body {
        Value::Object(fields) => fields.iter().map(|(key, inner)| (key.clone(), inner)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, inner)| (at.to_string(), inner)).collect()
        }
        leaf => return plain(leaf) == value,
    };
    for (key, inner) in inner {
        place.push(key);
        if search(inner, value, place) {
            return true;
        }
        place.pop();
    }
    false
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
