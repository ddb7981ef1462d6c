//! Which method is served by which function.

use crate::local::Local;
use crate::{cluster, health, kv, maintenance, unimplemented};
use grpc::Services;
use std::rc::Rc;

/// Adds all methods of all services, for the net thread that `local` belongs to.
pub fn register(services: &mut Services, local: &Rc<Local>) {
    macro_rules! unary {
        ($service:literal, $method:literal, $handler:path) => {{
            let local = local.clone();
            services.unary($service, $method, move |request, _| $handler(request, local.clone()));
        }};
    }
    unary!("etcdserverpb.KV", "Range", kv::range);
    unary!("etcdserverpb.KV", "Put", kv::put);
    unary!("etcdserverpb.KV", "DeleteRange", kv::delete_range);
    unary!("etcdserverpb.KV", "Txn", kv::txn);
    unary!("etcdserverpb.KV", "Compact", kv::compact);
    unary!("etcdserverpb.Maintenance", "Status", maintenance::status);
    unary!("etcdserverpb.Maintenance", "HashKV", maintenance::hash_kv);
    unary!("etcdserverpb.Maintenance", "Alarm", maintenance::alarm);
    unary!("etcdserverpb.Cluster", "MemberList", cluster::member_list);
    services.unary("grpc.health.v1.Health", "Check", |request, _| health::check(request));
    services.unary("grpc.health.v1.Health", "List", |request, _| health::list(request));
    unimplemented::register(services);
}
