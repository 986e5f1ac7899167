//! What grpc.health.v1 answers: for the server, for upstream's short service names, and for each model.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// Upstream answers to the short names only; clients that follow the gRPC convention ask for the full ones.
const SERVICES: [&str; 4] =
    ["ModelService", "PredictionService", "tensorflow.serving.ModelService", "tensorflow.serving.PredictionService"];

/// The table behind the health service. The overall name `""` is SERVING from when the port opens.
pub struct HealthTable {
    reporter: HealthReporter,
}

impl HealthTable {
    pub async fn new() -> HealthTable {
        let reporter = HealthReporter::new();
        for name in SERVICES {
            reporter.set_service_status(name, ServingStatus::Serving).await;
        }
        HealthTable { reporter }
    }

    /// Set whether requests can reach a version of `model`.
    pub async fn set_model(&self, model: &str, available: bool) {
        let status = if available { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(model, status).await;
    }

    /// The service to register with a gRPC listener.
    pub fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}
