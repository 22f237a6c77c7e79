//! Statements that a session has prepared. In: payloads of the commands about them. Out: statements with their values in
//! place, ready to run; or why there is none.
//!
//! ```text
//! PREPARE text ─▶ id          kept: the text, the types of the last execution, long values
//! SEND_LONG_DATA ─▶ kept      (never answered: what is wrong with it is told by EXECUTE)
//! EXECUTE id, values ─▶ Raw   long values are used up
//! RESET id, CLOSE id ─▶ forgotten: its long values; all of it
//! ```
//!
//! What one session keeps is bounded, in number and in bytes: 1 MiB of texts and parameters, 16 MiB of long values.

use super::codec::AFTER_LOGIN_MAX;
use super::values::{self, Type, Unsound};
use super::wire::Fields;
use crate::front::statements::fault::Fault;
use crate::front::statements::rows::Value;
use crate::front::statements::{self, Raw};
use std::collections::BTreeMap;

/// Of one session. Connectors that keep statements keep some hundreds.
const STATEMENTS_MAX: usize = 1_024;
/// Texts of one session, with what is kept of each parameter.
const TEXTS_MAX: usize = 1 << 20;
/// Long values of one session that wait for their execution: as much as one packet may bring.
const LONG_MAX: usize = AFTER_LOGIN_MAX;
/// The type of a parameter, and the place of its long value.
const PARAMETER_BYTES: usize = 32;

#[derive(Debug, Default)]
pub struct Prepared {
    statements: BTreeMap<u32, Statement>,
    last: u32,
    /// Bytes of all texts and parameters.
    texts: usize,
    /// Bytes of all long values.
    long: usize,
}

#[derive(Debug)]
struct Statement {
    text: String,
    parameters: usize,
    /// As the last execution announced them; the next may leave them out.
    types: Vec<Type>,
    /// What came in pieces, by the number of the parameter.
    long: BTreeMap<u16, Vec<u8>>,
    /// Why the pieces are of no use.
    spoiled: Option<Fault>,
}

impl Statement {
    fn kept_bytes(&self) -> usize {
        cost(&self.text, self.parameters)
    }

    fn long_bytes(&self) -> usize {
        self.long.values().map(Vec::len).sum()
    }

    fn forget_long(&mut self) -> (Option<Fault>, BTreeMap<u16, Vec<u8>>) {
        (self.spoiled.take(), std::mem::take(&mut self.long))
    }
}

impl Prepared {
    /// Keeps a text that waits for so many values; its id.
    pub fn keep(&mut self, text: &str, parameters: usize) -> Result<u32, Fault> {
        if self.statements.len() >= STATEMENTS_MAX {
            return Err(Fault::too_many_prepared(STATEMENTS_MAX));
        }
        if self.texts + cost(text, parameters) > TEXTS_MAX {
            return Err(Fault::too_much_prepared(TEXTS_MAX));
        }
        self.last = self.last.wrapping_add(1);
        while self.last == 0 || self.statements.contains_key(&self.last) {
            self.last = self.last.wrapping_add(1);
        }
        self.texts += cost(text, parameters);
        let (text, types, long) = (text.to_string(), Vec::new(), BTreeMap::new());
        self.statements.insert(self.last, Statement { text, parameters, types, long, spoiled: None });
        Ok(self.last)
    }

    /// COM_STMT_SEND_LONG_DATA: more of one value.
    pub fn long_value(&mut self, body: &[u8]) {
        let mut fields = Fields(body);
        let (Some(id), Some(parameter)) = (fields.u32(), fields.u16()) else { return };
        let Some(statement) = self.statements.get_mut(&id) else { return };
        if usize::from(parameter) >= statement.parameters {
            let text =
                format!("there is no value number {parameter}: the statement waits for {}", statement.parameters);
            statement.spoiled = Some(Fault::wrong_values(text));
        } else if self.long + fields.0.len() > LONG_MAX {
            statement.spoiled = Some(Fault::too_long_values(LONG_MAX));
        } else {
            self.long += fields.0.len();
            statement.long.entry(parameter).or_default().extend_from_slice(fields.0);
        }
    }

    /// COM_STMT_EXECUTE: the statement with its values.
    pub fn execute(&mut self, body: &[u8]) -> Result<Raw, Fault> {
        let mut fields = Fields(body);
        let statement = named(&mut self.statements, &mut fields)?;
        self.long -= statement.long_bytes();
        let (spoiled, long) = statement.forget_long();
        if let Some(fault) = spoiled {
            return Err(fault);
        }
        // Cursors are not opened: whoever asks for one gets all rows at once, as the protocol allows. Then the number of
        // executions, which is one.
        fields.take(1 + 4).ok_or_else(ends)?;
        let mut values = Vec::with_capacity(statement.parameters);
        if statement.parameters > 0 {
            let nulls = fields.take(statement.parameters.div_ceil(8)).ok_or_else(ends)?;
            if fields.byte().ok_or_else(ends)? == 1 {
                let types = (0..statement.parameters).map(|_| Type::read(&mut fields)).collect::<Option<_>>();
                statement.types = types.ok_or_else(ends)?;
            }
            for number in 0..statement.parameters {
                let kind =
                    statement.types.get(number).ok_or_else(|| Fault::wrong_values("the values have no types"))?;
                let value = match u16::try_from(number).ok().and_then(|number| long.get(&number)) {
                    Some(long) => values::text(long),
                    None if nulls[number / 8] & 1 << (number % 8) != 0 => Ok(Value::Null),
                    None => kind.value(&mut fields),
                };
                values.push(value.map_err(|why| unsound(number, why))?);
            }
        }
        Ok(one(&statement.text)?.filled(values))
    }

    /// COM_STMT_RESET.
    pub fn reset(&mut self, body: &[u8]) -> Result<(), Fault> {
        let statement = named(&mut self.statements, &mut Fields(body))?;
        self.long -= statement.long_bytes();
        statement.forget_long();
        Ok(())
    }

    /// COM_STMT_CLOSE.
    pub fn close(&mut self, body: &[u8]) {
        if let Some(statement) = Fields(body).u32().and_then(|id| self.statements.remove(&id)) {
            self.texts -= statement.kept_bytes();
            self.long -= statement.long_bytes();
        }
    }
}

fn cost(text: &str, parameters: usize) -> usize {
    text.len() + parameters * PARAMETER_BYTES
}

/// The only statement of a text.
pub fn one(text: &str) -> Result<Raw, Fault> {
    let mut statements = statements::split(text)?;
    match statements.pop() {
        Some(only) if statements.is_empty() => Ok(only),
        _ => Err(Fault::one_at_a_time(statements.len() + 1)),
    }
}

fn named<'a>(statements: &'a mut BTreeMap<u32, Statement>, fields: &mut Fields) -> Result<&'a mut Statement, Fault> {
    let id = fields.u32().ok_or_else(ends)?;
    statements.get_mut(&id).ok_or_else(|| Fault::not_prepared(id))
}

fn ends() -> Fault {
    Fault::wrong_values("the packet ends before what it announces")
}

fn unsound(number: usize, why: Unsound) -> Fault {
    let number = number + 1;
    match why {
        Unsound::Short => ends(),
        Unsound::NotUtf8 => Fault::wrong_values(format!("value {number} is not UTF-8")),
        Unsound::NoValue => Fault::wrong_values(format!("value {number} is no number or time that there is")),
        Unsound::UnknownType(code) => Fault::wrong_values(format!("value {number} has the unknown type 0x{code:02x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    const TEXT: &str = "SHOW BACKENDS WHERE a = ? AND b = ?";

    fn execution(id: u32, rest: &[u8]) -> Vec<u8> {
        [&id.to_le_bytes()[..], &[0, 1, 0, 0, 0], rest].concat()
    }

    fn shown(raw: Result<Raw, Fault>) -> String {
        format!("{:?}", raw.map(|raw| raw.shown()))
    }

    /// Values with types, the same types again, NULL, and pieces of a long one, which are used up.
    #[test]
    fn executions() {
        let mut prepared = Prepared::default();
        let id = prepared.keep(TEXT, 2).unwrap();
        let none = prepared.execute(&execution(id, &[0, 0, 7, 1, b'x'])).unwrap_err();
        assert!(none.text.contains("no types"), "{none}");
        let first = execution(id, &[0, 1, 1, 0, 0xfd, 0, 7, 1, b'x']);
        assert_eq!(shown(prepared.execute(&first)), "Ok(\"SHOW BACKENDS WHERE a = 7 AND b = 'x'\")");
        let again = execution(id, &[1, 0, 1, b'y']);
        assert_eq!(shown(prepared.execute(&again)), "Ok(\"SHOW BACKENDS WHERE a = NULL AND b = 'y'\")");
        let piece = |number: u16, bytes: &[u8]| [&id.to_le_bytes()[..], &number.to_le_bytes(), bytes].concat();
        prepared.long_value(&piece(1, b"lo"));
        prepared.long_value(&piece(1, b"ng"));
        let (long, short) = (execution(id, &[0, 0, 7]), execution(id, &[0, 0, 7, 0]));
        assert_eq!(shown(prepared.execute(&long)), "Ok(\"SHOW BACKENDS WHERE a = 7 AND b = 'long'\")");
        assert_eq!(prepared.execute(&long).unwrap_err().code, 1210);
        prepared.long_value(&piece(1, b"lo"));
        prepared.reset(&id.to_le_bytes()).unwrap();
        assert_eq!(shown(prepared.execute(&short)), "Ok(\"SHOW BACKENDS WHERE a = 7 AND b = ''\")");
        prepared.long_value(&piece(2, b"lo"));
        assert!(prepared.execute(&short).unwrap_err().text.contains("number 2"));
        assert!(prepared.execute(&short).is_ok(), "told once");
        prepared.close(&id.to_le_bytes());
        assert_eq!((prepared.execute(&short).unwrap_err().code, prepared.texts, prepared.long), (1243, 0, 0));
        assert_eq!(prepared.reset(&id.to_le_bytes()).unwrap_err().code, 1243);
    }

    /// One session keeps so many statements and so many bytes, and closing gives them back.
    #[test]
    fn bounded() {
        let mut prepared = Prepared::default();
        let ids: Vec<u32> = (0..STATEMENTS_MAX).map(|_| prepared.keep("SELECT 1", 0).unwrap()).collect();
        assert_eq!(prepared.keep("SELECT 1", 0).unwrap_err().code, 1461);
        prepared.close(&ids[7].to_le_bytes());
        let id = prepared.keep(TEXT, 2).unwrap();
        assert!(!ids.contains(&id), "an id that was closed means nothing else soon");
        let piece = |length: usize| [&id.to_le_bytes()[..], &[0, 0], &vec![b'x'; length]].concat();
        prepared.long_value(&piece(LONG_MAX + 1));
        assert!(prepared.execute(&execution(id, &[])).unwrap_err().text.contains("16 MiB"));
        prepared.long_value(&piece(LONG_MAX / 2));
        prepared.long_value(&piece(LONG_MAX / 2));
        assert!(prepared.long <= LONG_MAX);
        let places = TEXTS_MAX / PARAMETER_BYTES;
        prepared.close(&ids[8].to_le_bytes());
        assert!(prepared.keep("?", places).unwrap_err().text.contains("1 MiB"), "what waits for values is counted");
        ids.iter().chain([&id]).for_each(|id| prepared.close(&id.to_le_bytes()));
        assert_eq!((prepared.texts, prepared.long, prepared.statements.len()), (0, 0, 0));
        assert!(one("SELECT 1; SELECT 2").unwrap_err().text.contains("these are 2"));
        assert!(one("SELECT 1;").is_ok() && one("").is_err());
    }

    proptest! {
        #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), cases: 500, ..Config::default() })]

        /// No bytes make it panic, and what is kept is counted.
        #[test]
        fn any_bytes(bodies in prop::collection::vec((0u8..4, prop::collection::vec(any::<u8>(), 0..40)), 0..8)) {
            let mut prepared = Prepared::default();
            let id = prepared.keep(TEXT, 2).unwrap();
            for (command, body) in bodies {
                let body = [&id.to_le_bytes()[..], &body].concat();
                match command {
                    0 => drop(prepared.execute(&body)),
                    1 => prepared.long_value(&body),
                    2 => drop(prepared.reset(&body)),
                    _ => drop(prepared.execute(&body[..body.len() / 2])),
                }
            }
            prepared.close(&id.to_le_bytes());
            prop_assert_eq!((prepared.texts, prepared.long), (0, 0));
        }
    }
}
