//! The bytes of logging in: our greeting, the client's answer, and asking it to prove itself by another method.
//!
//! Pure: payloads in, payloads out. Who may log in is [`crate::front::users`]'s word; the conversation is `login.rs`'s.

use super::auth::{Method, NONCE};
use super::wire::{AUTOCOMMIT, Fields, UTF8, capability as can};
use crate::front::sql_version;
use bytes::{BufMut, BytesMut};

const OURS: u32 = can::LONG_PASSWORD
    | can::LONG_FLAG
    | can::CONNECT_WITH_DB
    | can::PROTOCOL_41
    | can::TRANSACTIONS
    | can::SECURE_CONNECTION
    | can::MULTI_STATEMENTS
    | can::MULTI_RESULTS
    | can::PLUGIN_AUTH
    | can::CONNECT_ATTRS
    | can::PLUGIN_AUTH_LENENC;

/// Protocol::HandshakeV10.
pub fn put_greeting(out: &mut BytesMut, connection: u32, nonce: &[u8; NONCE], offers_tls: bool) {
    let abilities = OURS | if offers_tls { can::SSL } else { 0 };
    out.put_u8(10);
    out.put_slice(sql_version().as_bytes());
    out.put_u8(0);
    out.put_u32_le(connection);
    out.put_slice(&nonce[..8]);
    out.put_u8(0);
    out.put_u16_le(abilities as u16);
    out.put_u8(UTF8 as u8);
    out.put_u16_le(AUTOCOMMIT);
    out.put_u16_le((abilities >> 16) as u16);
    out.put_u8(NONCE as u8 + 1);
    out.put_bytes(0, 10);
    out.put_slice(&nonce[8..]);
    out.put_u8(0);
    out.put_slice(Method::Native.name().as_bytes());
    out.put_u8(0);
}

/// Protocol::AuthSwitchRequest.
pub fn put_switch(out: &mut BytesMut, method: Method, nonce: &[u8; NONCE]) {
    out.put_u8(0xfe);
    out.put_slice(method.name().as_bytes());
    out.put_u8(0);
    out.put_slice(nonce);
    out.put_u8(0);
}

/// The client's answer to the greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It wants TLS first, and sends its answer then.
    Tls,
    Login(Login),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub abilities: u32,
    pub user: String,
    pub proof: Vec<u8>,
    pub db: Option<String>,
    /// How `proof` was made; `None`: by something that we do not speak.
    pub method: Option<Method>,
}

/// Protocol::SSLRequest or Protocol::HandshakeResponse41; `None`: neither.
pub fn read_answer(payload: &[u8]) -> Option<Answer> {
    let mut fields = Fields(payload);
    let abilities = fields.u32()?;
    if abilities & can::PROTOCOL_41 == 0 {
        return None;
    }
    // Longest packet, character set, filler.
    fields.take(4 + 1 + 23)?;
    if abilities & can::SSL != 0 && fields.0.is_empty() {
        return Some(Answer::Tls);
    }
    let user = String::from_utf8_lossy(fields.until_zero()).into_owned();
    let proof = if abilities & can::PLUGIN_AUTH_LENENC != 0 {
        fields.text()?
    } else if abilities & can::SECURE_CONNECTION != 0 {
        let length = fields.byte()?;
        fields.take(usize::from(length))?
    } else {
        fields.until_zero()
    };
    let db = (abilities & can::CONNECT_WITH_DB != 0).then(|| String::from_utf8_lossy(fields.until_zero()).into_owned());
    let method = match abilities & can::PLUGIN_AUTH != 0 {
        true => Method::of(fields.until_zero()),
        false => Some(Method::Native),
    };
    let db = db.filter(|db| !db.is_empty());
    Some(Answer::Login(Login { abilities, user, proof: proof.to_vec(), db, method }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    fn answer(abilities: u32, rest: &[u8]) -> Vec<u8> {
        let mut payload = abilities.to_le_bytes().to_vec();
        payload.extend([0; 28]);
        payload.extend(rest);
        payload
    }

    /// A sound answer is taken apart; one without the fields that it announces is none.
    #[test]
    fn answers() {
        let abilities = can::PROTOCOL_41 | can::SECURE_CONNECTION | can::CONNECT_WITH_DB | can::PLUGIN_AUTH;
        let rest = b"ana\0\x02ab d\0caching_sha2_password\0";
        let Some(Answer::Login(login)) = read_answer(&answer(abilities, b"ana\0\x02abd\0caching_sha2_password\0"))
        else {
            panic!("not understood");
        };
        assert_eq!((login.user.as_str(), &login.proof[..], login.db.as_deref()), ("ana", &b"ab"[..], Some("d")));
        assert_eq!(login.method, Some(Method::Sha2));
        assert_eq!(read_answer(&answer(abilities | can::SSL, b"")), Some(Answer::Tls));
        assert_eq!(read_answer(&answer(0, rest)), None);
        assert_eq!(read_answer(&answer(abilities, b"ana\0\x22ab")), None);
        assert_eq!(read_answer(&[]), None);
    }

    proptest! {
        #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), cases: 500, ..Config::default() })]

        /// No bytes make it panic.
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_answer(&bytes);
            let mut sound = answer(u32::MAX, &bytes);
            sound[1] |= 2;
            let _ = read_answer(&sound);
        }
    }
}
