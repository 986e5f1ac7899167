//! `/v1/models/NAME[/versions/N | /labels/L][:verb | /metadata]`

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::inference::Method;
use crate::metrics::Api;
use crate::routing::VersionChoice;

/// What a path names.
#[derive(Debug, PartialEq)]
pub struct Target {
    pub model: String,
    version: Option<i64>,
    label: Option<String>,
    pub verb: Verb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Predict,
    Infer(Method),
    Status,
    Metadata,
}

impl Verb {
    /// What the request counts as.
    pub fn api(self) -> Api {
        match self {
            Verb::Predict => Api::Predict,
            Verb::Infer(method) => method.api(),
            Verb::Status | Verb::Metadata => Api::Other,
        }
    }
}

impl Target {
    /// Take a path under `/v1/` apart; None if it has no meaning here.
    ///
    /// The path matches without regard to case, the verb behind the colon does not.
    pub fn parse(path: &str) -> Result<Option<Target>> {
        let mut parts = path.split('/').skip(2);
        if !parts.next().is_some_and(|part| part.eq_ignore_ascii_case("models")) {
            return Ok(None);
        }
        let Some(mut last) = parts.next().filter(|name| !name.is_empty()) else {
            return Err(Error::invalid("Missing model name in request."));
        };
        let (model, mut verb) = split_verb(last);
        let mut target = Target { model: decode(model), version: None, label: None, verb: Verb::Status };
        if let Some(part) = parts.next() {
            if verb.is_some() {
                return Ok(None);
            }
            if part.eq_ignore_ascii_case("metadata") && parts.next().is_none() {
                return Ok(Some(Target { verb: Verb::Metadata, ..target }));
            }
            let Some(value) = parts.next() else { return Ok(None) };
            last = value;
            let (value, value_verb) = split_verb(last);
            verb = value_verb;
            if part.eq_ignore_ascii_case("versions")
                && value.bytes().all(|byte| byte.is_ascii_digit())
                && !value.is_empty()
            {
                target.version = Some(
                    value
                        .parse()
                        .map_err(|_| Error::invalid(format!("Failed to convert version: {value} to numeric.")))?,
                );
            } else if part.eq_ignore_ascii_case("labels") && !value.is_empty() {
                target.label = Some(decode(value));
            } else {
                return Ok(None);
            }
        }
        target.verb = match (verb, parts.next()) {
            (None, None) => Verb::Status,
            (None, Some(part)) if part.eq_ignore_ascii_case("metadata") => Verb::Metadata,
            (Some("predict"), None) => Verb::Predict,
            (Some("classify"), None) => Verb::Infer(Method::Classify),
            (Some("regress"), None) => Verb::Infer(Method::Regress),
            _ => return Ok(None),
        };
        Ok(parts.next().is_none().then_some(target))
    }

    pub fn version(&self) -> Option<i64> {
        self.version
    }

    pub fn choice(&self) -> VersionChoice<'_> {
        VersionChoice::of(self.version, self.label.as_deref())
    }
}

fn split_verb(part: &str) -> (&str, Option<&str>) {
    part.split_once(':').map_or((part, None), |(name, verb)| (name, Some(verb)))
}

fn decode(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> Option<(String, Option<i64>, Option<String>, Verb)> {
        let target = Target::parse(path).expect("no error")?;
        Some((target.model, target.version, target.label, target.verb))
    }

    #[test]
    fn every_form_of_a_path_is_understood() {
        let m = || "m".to_owned();
        assert_eq!(parsed("/v1/models/m"), Some((m(), None, None, Verb::Status)));
        assert_eq!(parsed("/v1/models/m:predict"), Some((m(), None, None, Verb::Predict)));
        assert_eq!(parsed("/V1/MODELS/m/VERSIONS/007:predict"), Some((m(), Some(7), None, Verb::Predict)));
        assert_eq!(
            parsed("/v1/models/a%20b/labels/x/metadata"),
            Some(("a b".into(), None, Some("x".into()), Verb::Metadata))
        );
        assert_eq!(parsed("/v1/models/m/metadata"), Some((m(), None, None, Verb::Metadata)));
        assert_eq!(parsed("/v1/models/m/versions/1"), Some((m(), Some(1), None, Verb::Status)));
    }

    #[test]
    fn what_is_no_path_of_ours_is_refused() {
        for path in [
            "/v1/other",
            "/v1/models/m:PREDICT",
            "/v1/models/m/versions/x",
            "/v1/models/m/versions/",
            "/v1/models/m:predict/x",
            "/v1/models/m:predict?x=1",
            "/v1/models/m/metadata/x",
            "/v1/models/m/versions/1/metadata/x",
            "/v1/models/m/x/1",
        ] {
            assert_eq!(parsed(path), None, "{path}");
        }
        assert!(Target::parse("/v1/models").is_err() && Target::parse("/v1/models/").is_err());
        assert!(Target::parse("/v1/models/m/versions/99999999999999999999").is_err());
    }
}
