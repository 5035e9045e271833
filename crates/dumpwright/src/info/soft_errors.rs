//! Soft errors as lines of text, whoever wrote them: the stream is JSON whose
//! form is each writer's own.

use serde_json::Value;

/// More than this is not parsed: it would take many times as much memory.
const MAX_BYTES: usize = 16 << 20;

/// One line for each soft error; the reason if there is nothing to be read.
pub(super) fn lines(bytes: &[u8]) -> Result<Vec<String>, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("{} bytes of soft errors are too many to be shown", bytes.len()));
    }
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
    let mut lines = Vec::new();
    match value {
        Value::Array(values) => lines.extend(values.iter().map(line)),
        Value::Object(groups) => {
            for (name, group) in &groups {
                match group {
                    Value::Array(values) => {
                        lines.extend(values.iter().map(|value| format!("{name}: {}", line(value))));
                    }
                    other => lines.push(format!("{name}: {}", line(other))),
                }
            }
        }
        Value::Null => {}
        other => lines.push(line(&other)),
    }
    Ok(lines)
}

fn line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let text = |name| fields.get(name).and_then(Value::as_str);
            if let (Some(subject), Some(message)) = (text("subject"), text("message")) {
                return format!("{subject}: {message}");
            }
            if fields.values().any(|value| value.is_object() || value.is_array()) {
                return value.to_string();
            }
            let fields = fields.iter().map(|(name, value)| format!("{name} {}", line(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_errors_of_each_writer_become_lines() {
        let ours = br#"[{"subject":"thread 7","message":"is gone"},"plain"]"#;
        assert_eq!(lines(ours).unwrap(), ["thread 7: is gone", "plain"]);
        let grouped = br#"{"holes":[{"range":"0x1000-0x2000","reason":"EIO"}]}"#;
        assert_eq!(lines(grouped).unwrap(), ["holes: range 0x1000-0x2000, reason EIO"]);
        let nested = br#"[{"InitErrors":[{"Stop":"EPERM"}]}]"#;
        assert_eq!(lines(nested).unwrap(), [r#"{"InitErrors":[{"Stop":"EPERM"}]}"#]);
        assert!(lines(b"nonsense").unwrap_err().contains("not JSON"));
        let deep = "[".repeat(100_000);
        assert!(lines(deep.as_bytes()).is_err());
    }
}
