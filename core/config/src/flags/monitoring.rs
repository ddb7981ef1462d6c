//! Flags of profiling, metrics and traces.

use crate::flag::{Flag, Kind, Section};

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag::new(Section::Monitoring, name, kind, default, help)
}

const fn tracing(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag::new(Section::Tracing, name, kind, default, help).not_yet()
}

pub(super) const FLAGS: &[Flag] = &[
    flag("enable-pprof", Kind::Bool, "false", "Serve profiles below /debug/pprof/ of the client URL.")
        .not_yet(),
    flag("metrics", Kind::Text, "basic", "Detail of the metrics; 'extensive' adds histograms of gRPC calls.")
        .not_yet(),
    flag("listen-metrics-urls", Kind::Urls, "", "Further URLs to serve metrics and health on.").not_yet(),
    tracing("enable-distributed-tracing", Kind::Bool, "false", "Send traces to a collector."),
    tracing("distributed-tracing-address", Kind::Text, "localhost:4317", "Address of the collector."),
    tracing(
        "distributed-tracing-service-name",
        Kind::Text,
        "etcd",
        "Name of the service in traces, the same for all members.",
    ),
    tracing("distributed-tracing-instance-id", Kind::Text, "", "Name of this member in traces."),
    tracing("distributed-tracing-sampling-rate", Kind::Int, "0", "Spans sent, in a million."),
];
