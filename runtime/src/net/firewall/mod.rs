//! The packet filter: one table of our own for each root, changed in transactions.

mod elements;
pub(super) mod expression;
mod flows;
pub(super) mod message;
pub(super) mod ruleset;

pub use elements::{Network, Published};

use super::netlink::{Socket, gone, is_absent};
use message::Batch;
use std::io;
use std::net::IpAddr;

/// The table of one root.
pub struct Firewall {
    table: String,
    socket: Socket,
}

impl Firewall {
    pub fn open(table: String) -> io::Result<Self> {
        Ok(Self { table, socket: Socket::netfilter()? })
    }

    /// Whether the table is there: a reload of the host's firewall removes it.
    pub fn exists(&mut self) -> io::Result<bool> {
        match self.socket.ask(message::get_table(&self.table)) {
            Ok(_) => Ok(true),
            Err(e) if is_absent(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Makes the table anew with all that is to be in it; whoever looks sees the old one or the new one.
    pub fn replace(&mut self, networks: &[Network], published: &[Published]) -> io::Result<()> {
        self.commit(|batch| {
            // deleting fails without one
            batch.table(false);
            batch.delete_table();
            batch.table(true);
            ruleset::build(batch);
            for (set, elements) in elements::all(networks, published) {
                batch.elements(set.name, &elements);
            }
        })?;
        self.lead_anew(published);
        Ok(())
    }

    /// What is there already stays.
    pub fn add(&mut self, networks: &[Network], published: &[Published]) -> io::Result<()> {
        self.commit(|batch| {
            for (set, elements) in elements::all(networks, published) {
                batch.elements(set.name, &elements);
            }
        })?;
        self.lead_anew(published);
        Ok(())
    }

    fn lead_anew(&mut self, published: &[Published]) {
        // where the kernel does not tell of its flows, they end some time after their last packet
        let _ = flows::lead_anew(&mut self.socket, published);
    }

    /// Ends the flows of whoever had these addresses.
    pub fn end_flows(&mut self, is_gone: &dyn Fn(IpAddr) -> bool) {
        // see above
        let _ = flows::end(&mut self.socket, is_gone);
    }

    /// What is gone is removed.
    pub fn remove(&mut self, networks: &[Network], published: &[Published]) -> io::Result<()> {
        let all: Vec<_> = elements::all(networks, published).collect();
        let together = self.commit(|batch| {
            for (set, elements) in &all {
                batch.delete_elements(set.name, elements);
            }
        });
        match together {
            Err(e) if is_absent(&e) => {}
            result => return result,
        }
        // some are gone already: each by itself
        for (set, elements) in &all {
            gone(self.commit(|batch| batch.delete_elements(set.name, elements)))?;
        }
        Ok(())
    }

    /// Removes the table.
    pub fn destroy(&mut self) -> io::Result<()> {
        gone(self.commit(|batch| batch.delete_table()))
    }

    fn commit(&mut self, fill: impl FnOnce(&mut Batch)) -> io::Result<()> {
        let mut batch = Batch::new(&self.table);
        fill(&mut batch);
        if batch.is_empty() {
            return Ok(());
        }
        let requests = batch.finish();
        self.socket.transact(&requests)
    }
}
