//! Cgroup id → attribution.
use std::collections::HashMap;
use crate::attribution::Attribution;
#[derive(Debug, Default)]
pub struct Cache { by_id: HashMap<u64, Attribution> }
impl Cache {
    pub fn made(&mut self, id: u64, path: &str) { self.by_id.insert(id, Attribution { cgroup_path: path.into(), ..Attribution::HOST }); }
    pub fn removed(&mut self, _id: u64, _now: u64) {}
    pub fn find(&mut self, _id: u64) {}
    pub fn get(&self, id: u64) -> Option<&Attribution> { self.by_id.get(&id) }
    pub fn scan(&self) -> Vec<(u64, String)> { vec![] }
    pub fn tidy(&mut self, _now: u64) {}
}
