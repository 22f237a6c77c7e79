//! Proof that a client knows a password, by the two methods that clients speak. The password itself never travels.
//!
//! ```text
//! mysql_native_password   answer = sha1(pw)   xor sha1(nonce + sha1(sha1(pw)))        kept: sha1(sha1(pw))
//! caching_sha2_password   answer = sha256(pw) xor sha256(sha256(sha256(pw)) + nonce)  kept: sha256(sha256(pw))
//! ```
//!
//! The second one's exchange of an RSA key, for servers that do not keep the digest, is never needed here.

use crate::front::users::Secret;
use ring::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// Bytes of a nonce.
pub const NONCE: usize = 20;

/// How a client proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Native,
    Sha2,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Native => "mysql_native_password",
            Method::Sha2 => "caching_sha2_password",
        }
    }

    pub fn of(name: &[u8]) -> Option<Method> {
        [Method::Native, Method::Sha2].into_iter().find(|method| method.name().as_bytes() == name)
    }
}

/// Twenty random bytes without a zero, which would end them early for some clients.
pub fn nonce() -> std::io::Result<[u8; NONCE]> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|error| std::io::Error::other(error.to_string()))?;
    for byte in &mut nonce {
        *byte = *byte % 94 + 33;
    }
    Ok(nonce)
}

/// Whether the answer proves knowledge of the password.
pub fn is_proof(method: Method, nonce: &[u8; NONCE], answer: &[u8], secret: &Secret) -> bool {
    match method {
        Method::Native => proves(&SHA1_FOR_LEGACY_USE_ONLY, answer, &secret.native, &[nonce, &secret.native]),
        Method::Sha2 => proves(&SHA256, answer, &secret.sha2, &[&secret.sha2, nonce]),
    }
}

fn proves(algorithm: &'static Algorithm, answer: &[u8], kept: &[u8], mask: &[&[u8]]) -> bool {
    let mut context = Context::new(algorithm);
    mask.iter().for_each(|part| context.update(part));
    let mask = context.finish();
    if answer.len() != mask.as_ref().len() {
        return false;
    }
    let once: Vec<u8> = answer.iter().zip(mask.as_ref()).map(|(answer, mask)| answer ^ mask).collect();
    let twice = digest(algorithm, &once);
    // All of it is looked at, wherever the first difference is.
    kept.len() == twice.as_ref().len() && kept.iter().zip(twice.as_ref()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
pub fn answer(method: Method, nonce: &[u8; NONCE], password: &str) -> Vec<u8> {
    let algorithm = match method {
        Method::Native => &SHA1_FOR_LEGACY_USE_ONLY,
        Method::Sha2 => &SHA256,
    };
    let once = digest(algorithm, password.as_bytes());
    let twice = digest(algorithm, once.as_ref());
    let mask = match method {
        Method::Native => digest(algorithm, &[&nonce[..], twice.as_ref()].concat()),
        Method::Sha2 => digest(algorithm, &[twice.as_ref(), &nonce[..]].concat()),
    };
    once.as_ref().iter().zip(mask.as_ref()).map(|(once, mask)| once ^ mask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right password proves itself, another does not, nor does an answer to another nonce or one cut short.
    #[test]
    fn proofs() {
        let (secret, nonce) = (Secret::of("open sesame"), nonce().unwrap());
        for method in [Method::Native, Method::Sha2] {
            let sound = answer(method, &nonce, "open sesame");
            assert!(is_proof(method, &nonce, &sound, &secret));
            assert!(!is_proof(method, &nonce, &answer(method, &nonce, "open wheat"), &secret));
            assert!(!is_proof(method, &[33; NONCE], &sound, &secret));
            assert!(!is_proof(method, &nonce, &sound[1..], &secret));
            assert!(!is_proof(method, &nonce, &[], &secret));
        }
    }

    /// What is kept is what MySQL itself keeps for this password.
    #[test]
    fn kept_as_mysql_keeps_it() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        assert_eq!(hex(&Secret::of("password").native), "2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    }
}
