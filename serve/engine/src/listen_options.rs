//! What the control plane decides about ports and answers: the flags that the data plane carries out.

use std::path::PathBuf;
use std::time::Duration;

use crate::grpc::reflection::Descriptors;
use crate::reload::ReloadConfig;

/// Where to listen.
#[derive(Default)]
pub struct ListenOptions {
    /// `host:port` of gRPC; None leaves TCP off.
    pub grpc: Option<String>,
    /// `host:port` of REST; None leaves it off.
    pub rest: Option<String>,
    /// A unix socket for gRPC too; a file that a former server left there is replaced.
    pub grpc_socket: Option<PathBuf>,
    pub tls: Option<Tls>,
    pub http2: Http2,
    pub answering: Answering,
    /// Takes a new config; None if this server has a fixed one.
    pub reload_config: Option<ReloadConfig>,
    /// Gives the descriptors of all services for server reflection; None leaves it off.
    pub descriptors: Option<Descriptors>,
}

/// PEM texts for the gRPC listeners.
pub struct Tls {
    pub key: String,
    pub certificate: String,
    /// Who may have signed a client's certificate.
    pub client_ca: Option<String>,
    /// Whether a client must show a certificate.
    pub client_verify: bool,
}

/// Limits of the gRPC listeners; None is no limit.
#[derive(Clone, Debug, Default)]
pub struct Http2 {
    /// Ping a client that was silent for so long.
    pub keepalive_time: Option<Duration>,
    /// Close the connection if the ping is not answered for so long.
    pub keepalive_timeout: Option<Duration>,
    /// Ask clients to connect anew after so long, so that they spread over servers that came later.
    pub max_connection_age: Option<Duration>,
    /// Close such a connection after so long, also if requests are under way.
    pub max_connection_age_grace: Option<Duration>,
    pub max_concurrent_streams: Option<u32>,
}

/// How requests are answered.
#[derive(Clone, Default)]
pub struct Answering {
    /// How long a REST request may run; None means for ever.
    pub rest_timeout: Option<Duration>,
    /// Whether Classify and Regress insist on the method_name of a signature; TF 2 models have `predict` there.
    pub check_method_name: bool,
    /// Whether Predict replies carry numbers as `tensor_content` instead of typed fields.
    pub tensor_content: bool,
    /// Where REST shows the metrics; None shows them nowhere.
    pub metrics_path: Option<String>,
    /// The largest gRPC message that is read.
    pub max_message_bytes: Option<usize>,
    /// Whether each request leaves a line of JSON on stderr.
    pub access_log: bool,
    /// Whether REST replies allow web pages of any origin to read them.
    pub cors: bool,
}
