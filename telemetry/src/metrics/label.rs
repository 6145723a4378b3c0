//! Label values that come from a closed set, so that a stranger cannot make series without end.

/// Declares an enum whose variants are label values.
macro_rules! label_values {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every value, in the order declared.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The label value as exported.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

mod money;

pub use money::{
    Deferral, PaymentRefusal, Purpose, QuoteRefusal, RedemptionEnd, RewardState, StaleFact,
    TicketState, TransactionEnd,
};

label_values! {
    /// Role of the node: the `node_type` label, values as the reference's.
    NodeType {
        /// Takes jobs from gateways.
        Orchestrator = "orch",
        /// Transcodes for an orchestrator elsewhere.
        Transcoder = "trcr",
        /// Runs models for an orchestrator elsewhere.
        AiWorker = "aiwk",
        /// Redeems tickets for other nodes.
        Redeemer = "rdmr",
        /// None of these.
        Default = "dflt",
    }
}

label_values! {
    /// Where work was refused.
    Stage {
        /// Answer to GetOrchestrator.
        Discovery = "discovery",
        /// Answer to a segment.
        Segment = "segment",
        /// Registration of a remote worker, or its results.
        Workers = "workers",
    }
}

label_values! {
    /// Why work was refused before it began.
    Refusal {
        /// As many streams run as are allowed.
        Capped = "capped",
        /// The queue of the stream is full.
        Busy = "busy",
        /// The node drains and takes no new streams.
        Draining = "draining",
        /// No worker is there for it.
        NoWorker = "no_worker",
        /// The budget of bytes in flight is spent.
        Memory = "memory",
        /// The caller asks too often.
        Rate = "rate",
        /// The signature is not the sender's.
        Signature = "signature",
        /// An outside authentication said no.
        Authentication = "authentication",
        /// The request does not decode.
        Encoding = "encoding",
        /// A profile is unknown or cannot be made.
        Profile = "profile",
        /// The stated duration is out of bounds.
        Duration = "duration",
        /// Something was asked for that this node cannot do.
        Capability = "capability",
        /// The auth token is missing, wrong or of another session.
        Token = "token",
        /// The auth token has expired.
        TokenExpired = "token_expired",
        /// The payment was not accepted.
        Payment = "payment",
        /// The balance does not suffice.
        Balance = "balance",
        /// The body is larger than allowed.
        TooLarge = "too_large",
        /// The body did not arrive, or too slowly.
        Body = "body",
        /// The URL named instead of a body may not be fetched or could not be.
        Download = "download",
        /// The bytes are not those of the signed hash.
        Hash = "hash",
        /// A fault of this node.
        Internal = "internal",
    }
}

label_values! {
    /// Why an accepted segment failed: the `error_code` label. Where the reference has a code for it, that code.
    FailureCause {
        /// The segment or the profiles cannot be transcoded; no other node would do better.
        InvalidInput = "NonRetryable",
        /// The segment ended its worker on both tries.
        KilledWorker = "KilledWorker",
        /// The worker reported a fault of its own or of its device.
        Transcode = "Transcode",
        /// The worker ended or went silent, and a second try was not possible.
        WorkerLost = "WorkerLost",
        /// Not ready when the gateway would have given up.
        Timeout = "Timeout",
        /// No worker could take it.
        NoTranscoders = "NoTranscoders",
        /// A rendition could not be stored.
        SaveData = "SaveData",
        /// The stream ended first.
        SessionEnded = "SessionEnded",
        /// The gateway hung up or cancelled.
        Cancelled = "CtxCancelled",
        /// A fault of this node.
        Unknown = "Unknown",
    }
}

impl FailureCause {
    /// Whether the failure counts against this node's success rate; what the gateway sent or did does not.
    pub fn counts_against_node(self) -> bool {
        !matches!(
            self,
            Self::InvalidInput | Self::KilledWorker | Self::SessionEnded | Self::Cancelled
        )
    }
}

label_values! {
    /// Why a stream's session ended.
    SessionEnd {
        /// No segment for the idle time.
        Idle = "idle",
        /// The gateway said so.
        Gateway = "gateway",
        /// The node stopped.
        Shutdown = "shutdown",
        /// A fault of this node.
        Failed = "failed",
    }
}

label_values! {
    /// State of a worker process.
    WorkerState {
        /// Started, has not said hello.
        Starting = "starting",
        /// Ready, has no stream.
        Spare = "spare",
        /// Has a stream, works on no segment.
        Idle = "idle",
        /// Works on a segment.
        Busy = "busy",
        /// Ends when its work is done.
        Draining = "draining",
        /// Waits before the next start.
        BackOff = "back_off",
    }
}

label_values! {
    /// Why a worker process ended or was ended.
    WorkerEnd {
        /// Its work was done.
        Finished = "finished",
        /// It ended by itself, by an error or a signal of its own doing.
        Crashed = "crashed",
        /// A signal from outside: out of memory, the operator.
        KilledFromOutside = "killed_from_outside",
        /// It did not answer heartbeats.
        Heartbeat = "heartbeat",
        /// Its segment made no progress in time.
        Deadline = "deadline",
        /// It went over its memory.
        Memory = "memory",
        /// It did not start, or was of another build.
        StartFailed = "start_failed",
        /// It broke the rules of the link.
        Protocol = "protocol",
        /// The node stopped.
        Shutdown = "shutdown",
    }
}

label_values! {
    /// A bounded resource that said "full".
    Pool {
        /// Slots for streams.
        Sessions = "sessions",
        /// The queue of a stream.
        StreamQueue = "stream_queue",
        /// Bytes of bodies in flight.
        BodyBytes = "body_bytes",
        /// Bytes of finished renditions.
        SegmentRing = "segment_ring",
        /// Worker processes.
        Workers = "workers",
        /// The mailbox of an actor.
        Mailbox = "mailbox",
    }
}

label_values! {
    /// Why an actor was started anew.
    ActorEnd {
        /// It panicked.
        Panic = "panic",
        /// It stopped without being asked.
        Stopped = "stopped",
    }
}

label_values! {
    /// A listening port.
    Door {
        /// For gateways and workers.
        Public = "public",
        /// For the operator.
        Operator = "operator",
    }
}

label_values! {
    /// Why a connection was refused or dropped before its first request.
    ConnectionRefusal {
        /// As many are open as are allowed.
        Limit = "limit",
        /// As many are open from this address as are allowed.
        PerAddress = "per_address",
        /// The TLS handshake failed or took too long.
        Handshake = "handshake",
    }
}

label_values! {
    /// How a request to an RPC end point ended.
    RpcOutcome {
        /// Answered; an error of the chain is an answer.
        Answered = "answered",
        /// The connection failed or the answer did not come in time.
        Transport = "transport",
        /// A status that is no success.
        Status = "status",
        /// The provider has had enough of us.
        Limited = "limited",
        /// The answer could not be read.
        Malformed = "malformed",
        /// The end point is of another chain.
        WrongChain = "wrong_chain",
    }
}

label_values! {
    /// Why the chain's state was read anew.
    ChainReload {
        /// Nothing was known before.
        FirstStart = "first_start",
        /// The newest block taken in is not known to the chain.
        UnknownBlock = "unknown_block",
        /// More blocks were taken back than are remembered.
        DeepReorg = "deep_reorg",
        /// More blocks were missed than are caught up with.
        Gap = "gap",
        /// The logs of a block could not be had.
        Skipped = "skipped",
    }
}

label_values! {
    /// Why a log entry was not taken in.
    LogDrop {
        /// It does not decode as the event its topic names.
        Undecodable = "undecodable",
        /// It is of a contract or an event that was not asked for.
        Foreign = "foreign",
        /// It is of a block that was not asked for, marked as removed, or there twice.
        Misplaced = "misplaced",
    }
}

label_values! {
    /// Why an AI request failed; a closed set, where the reference writes the text of the error.
    AiFailure {
        /// The runner refused the request.
        Request = "request",
        /// The runner failed, or could not be reached.
        Runner = "runner",
        /// It took too long.
        Timeout = "timeout",
        /// Its answer has no use.
        Answer = "answer",
        /// The answer could not be stored.
        Store = "store",
        /// Anything else.
        Other = "other",
    }
}

label_values! {
    /// A store outside the node.
    Store {
        /// The gateway's.
        Gateway = "gateway",
        /// The operator's.
        Own = "own",
    }
}

label_values! {
    /// How the upload of a segment's renditions ended.
    UploadEnd {
        /// All of them are there.
        Stored = "stored",
        /// The store did not want one.
        Refused = "refused",
        /// The store, or the way to it, took too long.
        Late = "late",
        /// There is no way to the store, or none that may be taken.
        Unreachable = "unreachable",
    }
}

label_values! {
    /// What shares the machine.
    Work {
        /// Streams.
        Video = "video",
        /// Models.
        Ai = "ai",
    }
}

label_values! {
    /// What of the machine is shared.
    Resource {
        /// Processors.
        Cpu = "cpu",
        /// Memory.
        Memory = "memory",
    }
}

label_values! {
    /// What answers for a model.
    RunnerKind {
        /// A container that the node starts.
        Container = "container",
        /// A runner that others run.
        External = "external",
        /// A process of the node's own.
        Native = "native",
        /// A worker on another machine.
        Remote = "remote",
    }
}

label_values! {
    /// What a runner is doing.
    RunnerState {
        /// Nothing: it is started when it is asked for.
        Cold = "cold",
        /// Loading.
        Starting = "starting",
        /// Ready.
        Ready = "ready",
        /// It failed and is started again in a while.
        BackOff = "back_off",
        /// The operator wants no new requests on it.
        Drained = "drained",
    }
}

label_values! {
    /// Why a runner ended.
    RunnerEnd {
        /// The node stops, or the model is served no more.
        Stopped = "stopped",
        /// It made room for another model.
        Evicted = "evicted",
        /// It ended by itself.
        Died = "died",
        /// It did not answer when asked how it is, or said that it cannot.
        Unhealthy = "unhealthy",
        /// It could not be started.
        NotStarted = "not_started",
        /// There was no memory for it.
        Memory = "memory",
    }
}
