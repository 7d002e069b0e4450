//! What a client of a cache may be refused.

use holdfast_client::Error;
use holdfast_proto::ErrorCode;

use super::CacheTraffic;
use crate::history::Record;

impl<R: Record> CacheTraffic<R> {
    /// Nothing that is done here is refused, but for guards and loads whose time is over.
    pub(super) fn refused(&self, key: &str, error: &Error) {
        self.record.count("cache refusals", 1);
        let is_late = matches!(error.code(), Some(ErrorCode::StaleToken | ErrorCode::LoadOver));
        if matches!(error, Error::Rejected { .. }) && !is_late {
            self.record.violated(format!("{key} was refused without a reason: {error}"));
        }
    }
}
