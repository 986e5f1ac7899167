//! tensorflow.serving.SessionService: feed and fetch any tensor of a version's graph by its name.

use prost::Message;

use super::unary::{Reply, Request};
use crate::error::{Error, Result};
use crate::messages::{NamedTensor, SessionRunRequest, SessionRunResponse};
use crate::predict::find_signature;
use crate::request_log::Kind;
use crate::servable::Servable;
use crate::serving::Serving;
use crate::signature::{Port, Signature, aliases};
use crate::tensor::decode_proto;
use crate::tensor::encode_proto::Encoder;

super::unary::service!("tensorflow.serving.SessionService", {
    "SessionRun" => session_run,
});

fn session_run(serving: &Serving, request: Request) -> Reply<'_> {
    Box::pin(async move {
        let Request { message, deadline } = request;
        let request = super::parse::<SessionRunRequest>(&message)?;
        let spec = request.model_spec.clone().ok_or_else(|| Error::invalid("Missing ModelSpec"))?;
        let servable = super::resolve(serving, &spec)?;
        let capture = servable.log.capture(Kind::SessionRun, || Ok(message.clone()));
        let work = move |servable: &Servable| {
            let reply = run(servable, &request)?;
            if let Some(capture) = capture {
                capture.succeeded(servable, "", || Ok(reply.clone()));
            }
            Ok(reply)
        };
        Ok(serving.execute_alone(servable, message.len(), deadline, work).await?.into())
    })
}

fn run(servable: &Servable, request: &SessionRunRequest) -> Result<Vec<u8>> {
    let names = Names::of(servable, request)?;
    let feeds = request
        .feed
        .iter()
        .map(|feed| {
            let tensor = decode_proto::decode(&feed.tensor, Some(&feed.tensor))
                .map_err(|error| Error::invalid(format!("tensor parsing error: {} ({})", feed.name, error.message)))?;
            Ok((names.input(&feed.name)?, tensor))
        })
        .collect::<Result<Vec<_>>>()?;
    let fetches = request.fetch.iter().map(|name| names.output(name)).collect::<Result<Vec<_>>>()?;
    let targets = request.target.iter().map(|name| names.operation(name)).collect::<Result<Vec<_>>>()?;
    let outputs = servable.run_named(&feeds, &fetches, &targets)?;
    let tensor = request
        .fetch
        .iter()
        .zip(&outputs)
        .map(|(name, tensor)| {
            let mut proto = Vec::new();
            Encoder::new(tensor, false)?.write(&mut proto);
            Ok(NamedTensor { name: name.clone(), tensor: proto.into() })
        })
        .collect::<Result<_>>()?;
    Ok(SessionRunResponse { tensor, model_spec: Some(servable.spec("")) }.encode_to_vec())
}

/// What the names of a request mean.
enum Names<'a> {
    /// Tensors and operations of the graph.
    OfGraph,
    /// Inputs and outputs of a signature.
    Aliases(&'a Signature),
}

impl<'a> Names<'a> {
    fn of(servable: &'a Servable, request: &SessionRunRequest) -> Result<Names<'a>> {
        if !request.tensor_name_is_alias {
            return Ok(Names::OfGraph);
        }
        let name = request.model_spec.as_ref().map_or("", |spec| &spec.signature_name);
        Ok(Names::Aliases(find_signature(servable, name)?))
    }

    fn input(&self, name: &'a str) -> Result<&'a str> {
        match self {
            Names::OfGraph => Ok(name),
            Names::Aliases(signature) => tensor_name(&signature.inputs, name, "input"),
        }
    }

    fn output(&self, name: &'a str) -> Result<&'a str> {
        match self {
            Names::OfGraph => Ok(name),
            Names::Aliases(signature) => tensor_name(&signature.outputs, name, "output"),
        }
    }

    /// The operation that a target names, or that makes the output it names.
    fn operation(&self, name: &'a str) -> Result<&'a str> {
        let tensor = self.output(name)?;
        Ok(match self {
            Names::OfGraph => tensor,
            Names::Aliases(_) => tensor.rsplit_once(':').map_or(tensor, |(operation, _)| operation),
        })
    }
}

fn tensor_name<'a>(ports: &'a [Port], alias: &str, kind: &str) -> Result<&'a str> {
    let port = ports.iter().find(|port| port.alias == alias).ok_or_else(|| {
        let expected = aliases(ports.iter().map(|port| port.alias.as_str()));
        Error::invalid(format!(
            "{kind} tensor alias not found in signature: {alias} Expected to be in the set {expected}."
        ))
    })?;
    Ok(&port.tensor_name)
}
