//! `GET /v1/models/NAME`: the states of its versions, newest first.

use super::path::Target;
use crate::error::{Code, Result};
use crate::json::write_string;
use crate::serving::Serving;

pub fn answer(serving: &Serving, target: &Target) -> Result<Vec<u8>> {
    let states = serving.routes.states(&target.model, target.version())?;
    let mut out = b"{\n    \"model_version_status\": [".to_vec();
    for (index, state) in states.iter().enumerate() {
        let status = state.status.clone().unwrap_or_default();
        let code = if status.error_code == 0 { "OK" } else { Code::from_number(status.error_code).name() };
        let head = format!(
            "{}\n        {{\n            \"version\": \"{}\",\n            \"state\": \"{}\",\n            \"status\": {{\n                \
             \"error_code\": \"{code}\",\n                \"error_message\": ",
            if index > 0 { "," } else { "" },
            state.version,
            state_name(state.state),
        );
        out.extend_from_slice(head.as_bytes());
        write_string(&mut out, status.error_message.as_bytes());
        out.extend_from_slice(b"\n            }\n        }");
    }
    out.extend_from_slice(b"\n    ]\n}\n");
    Ok(out)
}

/// `ModelVersionStatus.State` by name.
fn state_name(state: i32) -> &'static str {
    match state {
        10 => "START",
        20 => "LOADING",
        30 => "AVAILABLE",
        40 => "UNLOADING",
        50 => "END",
        _ => "UNKNOWN",
    }
}
