//! AWS Signature Version 4, by the SDK's own crate.

use crate::aws::imds::Credentials;
use crate::error::Error;
use crate::net::client::Request;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as sign_request};
use aws_sigv4::sign::v4;
use std::time::SystemTime;

/// The name that ECS signs under.
const SERVICE: &str = "ecs";

/// Adds `x-amz-date`, `x-amz-security-token` and `authorization`. All headers that the request has
/// are signed with it. A retry must be signed anew: a signature is good for some minutes.
///
/// # Errors
/// None is known for requests of this program.
pub(crate) fn sign(
    mut request: Request,
    credentials: &Credentials,
    region: &str,
    time: SystemTime,
) -> Result<Request, Error> {
    let failed = |e: &dyn std::fmt::Display| Error::Sign { why: e.to_string() };
    let identity = identity(credentials);
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .map_err(|e| failed(&e))?
        .into();
    let url = request.uri().to_string();
    let headers =
        request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable = SignableRequest::new(
        request.method().as_str(),
        url.as_str(),
        headers,
        SignableBody::Bytes(request.body()),
    )
    .map_err(|e| failed(&e))?;
    let (instructions, _signature) =
        sign_request(signable, &parameters).map_err(|e| failed(&e))?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

fn identity<T: From<aws_credential_types::Credentials>>(credentials: &Credentials) -> T {
    let (key, secret) = (credentials.access_key_id.expose(), credentials.secret_access_key.expose());
    let token = Some(credentials.token.expose().to_owned());
    aws_credential_types::Credentials::new(key, secret, token, credentials.expires, "imds").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::secret::Secret;

    /// Inputs and signature as botocore 1.43.11 makes them with a fixed clock.
    #[test]
    fn the_signature_is_botocores() {
        let credentials = Credentials {
            role: "r".to_owned(),
            access_key_id: Secret::new("AKIDEXAMPLE"),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            token: Secret::new("SESSIONTOKEN/+=="),
            expires: None,
        };
        let body = r#"{"cluster": "my-cluster", "taskDefinition": "my_task_def", "containerInstances": ["0123456789abcdef0123456789abcdef"], "startedBy": "0123456789abcdef0123456789abcdef"}"#;
        let request = http::Request::post("https://ecs.us-east-1.amazonaws.com/")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "AmazonEC2ContainerServiceV20141113.StartTask")
            .body(body.as_bytes().to_vec())
            .unwrap();
        let time = humantime::parse_rfc3339("2026-01-02T03:04:05Z").unwrap();
        let signed = sign(request, &credentials, "us-east-1", time).unwrap();
        assert_eq!(
            signed.headers()["authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/ecs/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
             Signature=4fd54b33073e9e902f159a953cc633a88516ceee4d41a60d679e9e47386ae879"
        );
    }
}
