//! What plans are measured with: the version's own warm-up records, or a request that is generated for a signature.

use std::path::Path;
use std::sync::Arc;

use prost::Message;

use super::effects::ReadOnly;
use super::planner::NotMeasured;
use crate::call::Call;
use crate::error::Result;
use crate::predict;
use crate::predict_request::PredictRequest;
use crate::servable::Servable;
use crate::signature::DEFAULT_SIGNATURE;
use crate::warmup;

/// Makes a serialized `PredictRequest` with one row, given the name and the serialized definition of a signature.
pub type ExampleRequest = Arc<dyn Fn(&str, &[u8]) -> Result<Vec<u8>> + Send + Sync>;

/// Warm-up records to measure with: the first ones.
const MAX_RECORDS: usize = 4;

/// What calls can be made of, for any session of the version.
pub enum Inputs<'a> {
    Records(&'a Path),
    Generated(Vec<u8>),
}

impl<'a> Inputs<'a> {
    /// Records if there are any in `directory`, which is None where they are not to be replayed.
    pub fn find(
        servable: &Servable,
        directory: Option<&'a Path>,
        read_only: &ReadOnly,
        example: &ExampleRequest,
    ) -> std::result::Result<Inputs<'a>, NotMeasured> {
        if let Some(directory) = directory {
            let records = Inputs::Records(directory);
            let calls = records.calls(servable)?;
            if !calls.is_empty() {
                return if calls.iter().all(|call| read_only.allows(servable, call)) {
                    Ok(records)
                } else {
                    Err(changes_state())
                };
            }
        }
        let signature = servable
            .signature(DEFAULT_SIGNATURE)
            .or_else(|| servable.signatures().iter().find(|signature| signature.check_usable().is_ok()))
            .ok_or_else(|| NotMeasured::because("there is no signature to run"))?;
        if servable.is_rank_critical() && signature.inputs.iter().any(|port| port.rank.is_none()) {
            return Err(NotMeasured::because("an input of unknown rank cannot be generated for convolutions"));
        }
        let definition = servable.definitions().get(&signature.name).map(Message::encode_to_vec).unwrap_or_default();
        let generated = Inputs::Generated(example(&signature.name, &definition)?);
        let calls = generated.calls(servable)?;
        if calls.iter().all(|call| read_only.allows(servable, call)) { Ok(generated) } else { Err(changes_state()) }
    }

    /// Decode them for one session.
    pub fn calls(&self, servable: &Servable) -> Result<Vec<Call>> {
        match self {
            Inputs::Records(directory) => warmup::first_calls(servable, directory, MAX_RECORDS),
            Inputs::Generated(request) => Ok(vec![predict::decode(servable, &PredictRequest::parse(request)?)?.call]),
        }
    }

    /// Whether they are the version's own.
    pub fn are_recorded(&self) -> bool {
        matches!(self, Inputs::Records(_))
    }

    /// How the log names them.
    pub fn describe(&self, calls: usize) -> String {
        match (self, calls) {
            (Inputs::Generated(_), _) => "generated input".to_owned(),
            (Inputs::Records(_), 1) => "1 warm-up record".to_owned(),
            (Inputs::Records(_), count) => format!("{count} warm-up records"),
        }
    }
}

fn changes_state() -> NotMeasured {
    NotMeasured::because("its runs may change the model's state")
}
