//! Looks through the address space of a server, for commissioning. It browses and reads, and does nothing else.
//!
//! ```text
//! walk (which node is next, what was found)  ◄── browse, browse next
//!   └─ attributes (what the variables are)   ◄── read
//!        lineage, unit
//! ```
//!
//! Follows OPC 10000-4, section 5.9 (View Service Set).

mod attributes;
mod found;
mod lineage;
mod unit;
mod walk;

use std::time::Duration;

use futures_util::StreamExt;
use opcua::client::{Session, SessionPollResult};
use opcua::types::{
    AttributeId, BrowseDescription, BrowseDirection, BrowseResult, BrowseResultMask, NodeClass, NodeId,
    QualifiedName, ReferenceTypeId, StatusCode, VariableId, Variant,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::link::{self, Happenings};
use super::node::NodeAddress;
use super::pki::Passport;
use super::request;
use super::server::Server;
use crate::Clock;
use attributes::Attributes;
pub use found::{Class, Found, FoundNode, FoundVariable, Shape, Shown};
use walk::{Limits, Reference, Start, Walk};

/// The most references that a reply has for each node; the rest is asked for with a continuation point.
const REFERENCES_PER_REPLY: u32 = 1_000;
/// More nodes in one request make a reply that a small server takes long for, and whose progress nobody sees.
const MOST_NODES_PER_BROWSE: usize = 100;
/// So many replies about one node are more than any real server needs for [`Browse::most_nodes`].
const MOST_CONTINUATIONS: usize = 1_000;
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// What to look through.
#[derive(Clone, Debug)]
pub struct Browse {
    /// The server, and how a session is opened there. Its tags do not matter.
    pub server: Server,
    /// Where to begin.
    pub from: NodeAddress,
    /// How many levels below that.
    pub depth: usize,
    /// How many nodes are looked at before it ends.
    pub most_nodes: usize,
    /// Whether the values of variables are read.
    pub with_values: bool,
    /// How long all of it may take.
    pub within: Duration,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BrowseProgress {
    /// So many nodes were looked into, of those that were found so far.
    Nodes {
        /// How many.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// So many attributes of variables were read.
    Attributes {
        /// How many.
        done: u64,
        /// Of how many.
        total: u64,
    },
}

/// There is no session to look through the server with; its text says why, and what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct NoSession(String);

impl Browse {
    /// Browses until everything was seen, a limit is reached, or `stop` says so, and tells how far it is.
    ///
    /// # Errors
    /// [`NoSession`]. Whatever happens later cuts the findings short.
    pub async fn run(
        &self,
        passport: &Passport,
        clock: &Clock,
        stop: &CancellationToken,
        mut progress: impl FnMut(BrowseProgress),
    ) -> Result<Found, NoSession> {
        let opened = tokio::select! {
            opened = link::open(&self.server, passport, clock) => opened,
            () = stop.cancelled() => return Err(NoSession("interrupted".to_owned())),
        };
        let mut link = opened.map_err(|failure| NoSession(failure.to_string()))?;
        let mut look = Look::new(self, &link.session);
        let cut_short = tokio::select! {
            looked = timeout(self.within, look.all(&mut progress)) => match looked {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure.to_string()),
                Err(_elapsed) => Some(format!("it takes longer than {:?}", self.within)),
            },
            status = end_of(&mut link.happenings) => Some(Failure::Lost(status).to_string()),
            () = stop.cancelled() => Some("interrupted".to_owned()),
        };
        let found = look.found(cut_short);
        link.close(GOODBYE).await;
        Ok(found)
    }
}

/// Lets the session happen until it is gone. One that could be taken up again is not worth waiting for.
async fn end_of(happenings: &mut Happenings) -> StatusCode {
    loop {
        match happenings.next().await {
            None => return StatusCode::BadConnectionClosed,
            Some(Err(status) | Ok(SessionPollResult::ConnectionLost(status))) => return status,
            Some(Ok(_)) => {}
        }
    }
}

/// A look through one server, over one session.
struct Look<'a> {
    browse: &'a Browse,
    session: &'a Session,
    namespaces: Vec<String>,
    /// Nodes in a request.
    browse_size: usize,
    read_size: usize,
    walk: Walk,
    attributes: Attributes,
}

impl<'a> Look<'a> {
    fn new(browse: &'a Browse, session: &'a Session) -> Self {
        Self {
            browse,
            session,
            namespaces: Vec::new(),
            browse_size: MOST_NODES_PER_BROWSE,
            read_size: request::MOST_OPERATIONS,
            walk: Walk::new(Limits { depth: browse.depth, nodes: browse.most_nodes }),
            attributes: Attributes::default(),
        }
    }

    async fn all(&mut self, progress: &mut impl FnMut(BrowseProgress)) -> Result<(), Failure> {
        self.read_server().await?;
        let start = self.start().await?;
        self.walk.begin(start);
        loop {
            let batch = self.walk.next(self.browse_size);
            if batch.is_empty() {
                break;
            }
            self.look_into(&batch).await?;
            let (done, total) = self.walk.progress();
            progress(BrowseProgress::Nodes { done, total });
        }
        self.read_variables(progress).await
    }

    /// The namespaces, and what the server takes in a call (OPC 10000-5, section 6.3.11).
    async fn read_server(&mut self) -> Result<(), Failure> {
        let nodes: [NodeId; 3] = [
            VariableId::Server_NamespaceArray.into(),
            VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse.into(),
            VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerRead.into(),
        ];
        let values = self.values(&nodes.map(request::value_of)).await;
        let mut values = values.map_err(|status| failed("reading the namespaces", status))?.into_iter();
        if let Some(Some(Variant::Array(array))) = values.next() {
            self.namespaces = array.values.iter().map(ToString::to_string).collect();
        }
        let mut limit = || match values.next() {
            Some(Some(Variant::UInt32(limit))) => request::operations(Some(limit.into())),
            _ => request::MOST_OPERATIONS,
        };
        self.browse_size = limit().min(MOST_NODES_PER_BROWSE);
        self.read_size = limit();
        Ok(())
    }

    async fn start(&self) -> Result<Start, Failure> {
        let from = &self.browse.from;
        let unknown = || Failure::NotOffered(format!("the server has no node {from} to begin with"));
        let id = from.resolve(&self.namespaces).ok_or_else(unknown)?;
        let attributes = [AttributeId::NodeClass, AttributeId::BrowseName, AttributeId::DisplayName];
        let asked = attributes.map(|attribute| attributes::attribute_of(id.clone(), attribute));
        let values = self.values(&asked).await.map_err(|status| failed("reading the first node", status))?;
        match &values[..] {
            [Some(Variant::Int32(class)), name, display] => Ok(Start {
                id,
                class: NodeClass::try_from(*class).unwrap_or_default(),
                name: match name {
                    Some(Variant::QualifiedName(name)) => (**name).clone(),
                    _ => QualifiedName::null(),
                },
                display_name: match display {
                    Some(Variant::LocalizedText(text)) => text.text.as_ref().to_owned(),
                    _ => String::new(),
                },
            }),
            _ => Err(unknown()),
        }
    }

    /// Browses a batch of nodes, each to its end.
    async fn look_into(&mut self, batch: &[usize]) -> Result<(), Failure> {
        let asked: Vec<_> = batch.iter().map(|index| below(self.walk.id(*index))).collect();
        let results = match self.session.browse(&asked, REFERENCES_PER_REPLY, None).await {
            Ok(results) if results.len() == batch.len() => results,
            Ok(_) => return Err(failed("browsing", StatusCode::BadUnknownResponse)),
            Err(error) if request::is_too_large(error.status()) && batch.len() > 1 => {
                self.browse_size = batch.len().div_ceil(2);
                self.walk.again(batch);
                return Ok(());
            }
            Err(error) => return Err(failed("browsing", error.status())),
        };
        for (&index, result) in batch.iter().zip(results) {
            if result.status_code == StatusCode::BadNoContinuationPoints && batch.len() > 1 {
                self.browse_size = 1;
                self.walk.again(&[index]);
            } else {
                self.take(index, result).await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, index: usize, mut result: BrowseResult) -> Result<(), Failure> {
        for _ in 0..MOST_CONTINUATIONS {
            if result.status_code.is_bad() {
                self.walk.refused(index, result.status_code);
                return Ok(());
            }
            let references = result.references.unwrap_or_default();
            let brought_nothing = references.is_empty();
            let references = references.into_iter().map(|one| Reference::of(one, &self.namespaces));
            self.walk.take(index, references);
            let point = result.continuation_point;
            if point.is_null_or_empty() {
                return Ok(());
            }
            let is_enough = brought_nothing || self.walk.is_full();
            let next = self.session.browse_next(is_enough, &[point]).await;
            let mut next = next.map_err(|error| failed("browsing on", error.status()))?;
            match next.pop() {
                _ if is_enough => return Ok(()),
                Some(one) if next.is_empty() => result = one,
                _ => return Err(failed("browsing on", StatusCode::BadUnknownResponse)),
            }
        }
        self.walk.refused(index, StatusCode::BadTooManyMatches);
        Ok(())
    }

    fn found(self, cut_short: Option<String>) -> Found {
        self.walk.found(&self.namespaces, self.attributes, cut_short)
    }
}

/// What stands below a node, whatever kind of reference says so.
fn below(node_id: &NodeId) -> BrowseDescription {
    BrowseDescription {
        node_id: node_id.clone(),
        browse_direction: BrowseDirection::Forward,
        reference_type_id: ReferenceTypeId::HierarchicalReferences.into(),
        include_subtypes: true,
        node_class_mask: 0,
        result_mask: BrowseResultMask::All as u32,
    }
}

fn failed(request: &'static str, status: StatusCode) -> Failure {
    Failure::Request { request, status }
}
