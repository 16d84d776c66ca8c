//! Structures by field: what a server told of its types, a structure's bytes as a tree, and the way to one value in
//! it. Pure, and total: no type and no value of a server can make it panic or hold more than is bounded here.
//!
//! The library hands over a structure that it does not know as bytes. They are read here and not by its dynamic
//! types, for which one value that does not fit its type is the end of the whole message, and of its session.

mod definitions;
mod fault;
mod pick;
mod unfold;

#[cfg(test)]
mod tests;

pub(super) use definitions::{Told, Types};
pub(super) use fault::Fault;
pub(super) use pick::{pick, place};
pub(super) use unfold::{Node, unfold};
