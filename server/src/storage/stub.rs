#![allow(missing_docs)]
use std::collections::BTreeMap; use std::sync::{Arc,Mutex}; use std::io; use std::ops::RangeBounds; use std::fmt::Debug;
use openraft::storage::*; use openraft::LogState; use crate::raft::types::*; use tokio::sync::watch;
#[derive(Default)] struct In { log: BTreeMap<u64,Entry>, vote: Option<Vote>, purged: Option<LogId> }
#[derive(Clone)] pub struct LogStore(Arc<Mutex<In>>, watch::Receiver<Option<String>>);
pub struct LogStats { pub bytes_appended: u64 }
impl LogStore { pub fn open(_d: Arc<dyn super::Disk>, _o: super::LogOptions, _dr: super::Driver)->Result<Self,super::OpenError>{ let (tx,rx)=watch::channel(None); std::mem::forget(tx); Ok(Self(Arc::default(), rx)) }
 pub fn stats(&self)->LogStats{LogStats{bytes_appended:0}} pub fn failed(&self)->watch::Receiver<Option<String>>{self.1.clone()} }
impl RaftLogReader<TypeConfig> for LogStore {
 async fn try_get_log_entries<RB: RangeBounds<u64>+Clone+Debug+openraft::OptionalSend>(&mut self, r: RB)->io::Result<Vec<Entry>>{ Ok(self.0.lock().unwrap().log.range(r).map(|x|x.1.clone()).collect()) }
 async fn read_vote(&mut self)->io::Result<Option<Vote>>{ Ok(self.0.lock().unwrap().vote.clone()) }
}
impl RaftLogStorage<TypeConfig> for LogStore { type LogReader=Self;
 async fn get_log_state(&mut self)->io::Result<LogState<TypeConfig>>{ let s=self.0.lock().unwrap(); Ok(LogState{last_purged_log_id:s.purged.clone(), last_log_id:s.log.last_key_value().map(|x|x.1.log_id.clone()).or(s.purged.clone())}) }
 async fn get_log_reader(&mut self)->Self{self.clone()}
 async fn save_vote(&mut self,v:&Vote)->io::Result<()>{self.0.lock().unwrap().vote=Some(v.clone());Ok(())}
 async fn append<I>(&mut self, e: I, cb: IOFlushed<TypeConfig>)->io::Result<()> where I: IntoIterator<Item=Entry>+openraft::OptionalSend, I::IntoIter: openraft::OptionalSend { {let mut s=self.0.lock().unwrap(); for x in e { s.log.insert(x.log_id.index,x);} } cb.io_completed(Ok(())); Ok(()) }
 async fn truncate_after(&mut self,l:Option<LogId>)->io::Result<()>{ let n=l.map(|x|x.index+1).unwrap_or(0); self.0.lock().unwrap().log.split_off(&n); Ok(()) }
 async fn purge(&mut self,l:LogId)->io::Result<()>{ let mut s=self.0.lock().unwrap(); let r=s.log.split_off(&(l.index+1)); s.log=r; s.purged=Some(l); Ok(()) }
}
