//! stub
#![allow(missing_docs)]
use std::io; use std::sync::Arc; use futures::Stream; use holdfast_primitives::{Machine, SnapshotBlocks}; use holdfast_proto::peer::{self, SnapshotChunk};
use openraft::storage::{RaftSnapshotBuilder, Snapshot}; use tonic::{Status, Streaming}; use super::types::*; use crate::storage::*;
#[derive(Clone, Copy)] pub enum SnapshotWork { Threads }
#[derive(Clone)] pub struct StoredSnapshot;
impl StoredSnapshot { pub fn chunks(self, _v: peer::Vote) -> impl Stream<Item=SnapshotChunk> + Send + 'static { futures::stream::empty() } }
pub struct SnapshotStore;
impl SnapshotStore { pub fn open(_d: Arc<dyn Disk>, _w: SnapshotWork)->Result<Self,SnapshotError>{Ok(Self)}
 pub fn current(&self)->io::Result<Option<openraft::alias::SnapshotOf<TypeConfig,StoredSnapshot>>>{Ok(None)}
 pub async fn install(&self,_s:StoredSnapshot)->io::Result<Machine>{Err(io::Error::other("x"))}
 pub async fn receive(&self,_c:&mut Streaming<SnapshotChunk>)->Result<(Option<peer::Vote>, openraft::alias::SnapshotOf<TypeConfig,StoredSnapshot>),Status>{Err(Status::internal("x"))} }
pub struct SnapshotBuilder; impl SnapshotBuilder { pub fn new(_s:Arc<SnapshotStore>,_m:SnapshotMeta,_b:SnapshotBlocks)->Self{Self} }
impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder { type SnapshotData=StoredSnapshot; async fn build_snapshot(&mut self)->io::Result<openraft::alias::SnapshotOf<TypeConfig,StoredSnapshot>>{Err(io::Error::other("x"))} }
