//! Generated servers and clients of the gRPC services of package `net`.

#![allow(missing_docs, clippy::all)]

tonic::include_proto!("net");
