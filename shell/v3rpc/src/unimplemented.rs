//! Methods that exist in etcd and not yet here. They answer UNIMPLEMENTED and are listed in docs/compat.md.

use grpc::{Code, Services, Status};

/// (service, method), unary ones.
const UNARY: &[(&str, &str)] = &[
    ("etcdserverpb.Lease", "LeaseGrant"),
    ("etcdserverpb.Lease", "LeaseRevoke"),
    ("etcdserverpb.Lease", "LeaseTimeToLive"),
    ("etcdserverpb.Lease", "LeaseLeases"),
    ("etcdserverpb.Cluster", "MemberAdd"),
    ("etcdserverpb.Cluster", "MemberRemove"),
    ("etcdserverpb.Cluster", "MemberUpdate"),
    ("etcdserverpb.Cluster", "MemberPromote"),
    ("etcdserverpb.Maintenance", "Defragment"),
    ("etcdserverpb.Maintenance", "Hash"),
    ("etcdserverpb.Maintenance", "MoveLeader"),
    ("etcdserverpb.Maintenance", "Downgrade"),
    ("etcdserverpb.Auth", "AuthEnable"),
    ("etcdserverpb.Auth", "AuthDisable"),
    ("etcdserverpb.Auth", "AuthStatus"),
    ("etcdserverpb.Auth", "Authenticate"),
    ("etcdserverpb.Auth", "UserAdd"),
    ("etcdserverpb.Auth", "UserGet"),
    ("etcdserverpb.Auth", "UserList"),
    ("etcdserverpb.Auth", "UserDelete"),
    ("etcdserverpb.Auth", "UserChangePassword"),
    ("etcdserverpb.Auth", "UserGrantRole"),
    ("etcdserverpb.Auth", "UserRevokeRole"),
    ("etcdserverpb.Auth", "RoleAdd"),
    ("etcdserverpb.Auth", "RoleGet"),
    ("etcdserverpb.Auth", "RoleList"),
    ("etcdserverpb.Auth", "RoleDelete"),
    ("etcdserverpb.Auth", "RoleGrantPermission"),
    ("etcdserverpb.Auth", "RoleRevokePermission"),
    ("v3lockpb.Lock", "Lock"),
    ("v3lockpb.Lock", "Unlock"),
    ("v3electionpb.Election", "Campaign"),
    ("v3electionpb.Election", "Proclaim"),
    ("v3electionpb.Election", "Leader"),
    ("v3electionpb.Election", "Resign"),
];

/// (service, method), streaming ones.
const STREAMING: &[(&str, &str)] = &[
    ("etcdserverpb.KV", "RangeStream"),
    ("etcdserverpb.Watch", "Watch"),
    ("etcdserverpb.Lease", "LeaseKeepAlive"),
    ("etcdserverpb.Maintenance", "Snapshot"),
    ("v3electionpb.Election", "Observe"),
    ("grpc.health.v1.Health", "Watch"),
];

pub(crate) fn register(services: &mut Services) {
    for (service, method) in UNARY {
        // The request is not looked at, so any message type will do that accepts every field.
        services.unary(service, method, move |(): (), _| async move {
            Err::<(), _>(Status::new(
                Code::Unimplemented,
                format!("etcdserver: {method} is not implemented yet"),
            ))
        });
    }
    for (service, method) in STREAMING {
        services.stream(service, method);
    }
}
