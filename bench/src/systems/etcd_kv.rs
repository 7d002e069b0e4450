//! What clients of etcd do with keys and values: linearizable reads and plain puts.

use bytes::Bytes;
use tonic::transport::Channel;

use super::cache_worker::{CacheClient, CacheWorker};
use super::etcd_client::etcdserverpb::kv_client::KvClient;
use super::etcd_client::etcdserverpb::{PutRequest, RangeRequest};
use crate::works::Work;

/// One client: a connection, maybe shared.
pub(crate) struct EtcdKv(KvClient<Channel>);

impl CacheClient for EtcdKv {
    async fn get(&mut self, key: &str) -> Result<usize, String> {
        let request = RangeRequest { key: key.as_bytes().to_vec(), ..RangeRequest::default() };
        let found = self.0.range(request).await.map_err(|status| status.to_string())?;
        Ok(found.into_inner().kvs.first().map_or(0, |found| found.value.len()))
    }

    async fn put(&mut self, key: &str, body: Bytes) -> Result<(), String> {
        let request = PutRequest { key: key.as_bytes().to_vec(), value: body.to_vec(), lease: 0 };
        self.0.put(request).await.map(|_| ()).map_err(|status| status.to_string())
    }

    async fn close(self) {}
}

/// A worker for each connection.
pub(super) async fn workers(
    work: Work,
    channels: Vec<Channel>,
) -> Result<Vec<CacheWorker<EtcdKv>>, String> {
    let clients = channels.into_iter().map(|channel| EtcdKv(KvClient::new(channel)));
    CacheWorker::all(work, clients).await
}
