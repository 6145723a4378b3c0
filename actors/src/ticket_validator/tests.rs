//! Payments over books in memory and over the real ledger: the refusals, the holes, the laws, the deaths.

mod books;
mod deaths;
mod holes;
mod house;
mod laws;
mod refusals;
