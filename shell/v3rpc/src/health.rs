//! The health service. It says that the server runs, nothing about leader or alarms, as etcd's.

use crate::local::status;
use grpc::Status;
use proto::healthpb::health_check_response::ServingStatus;
use proto::healthpb::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};

pub(crate) async fn check(request: HealthCheckRequest) -> Result<HealthCheckResponse, Status> {
    if !request.service.is_empty() {
        return Err(status(api::error::UNKNOWN_HEALTH_SERVICE));
    }
    Ok(serving())
}

pub(crate) async fn list(_: HealthListRequest) -> Result<HealthListResponse, Status> {
    Ok(HealthListResponse { statuses: [(String::new(), serving())].into() })
}

fn serving() -> HealthCheckResponse {
    HealthCheckResponse { status: ServingStatus::Serving as i32 }
}
