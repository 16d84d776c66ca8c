//! The buffer through its public API, on a real disk: durability, order, bounds, recovery.

mod bounds;
mod damage;
mod dead_letters;
mod destinations;
mod durability;
mod fixture;
mod inspection;
mod model;
mod opening;
mod order;
mod replay;
mod retention;
