//! What a condition means. In: an expression as the library read it. Out: a filter; or a fault that says what a condition
//! may be, and where it is something else.

use super::fault::Fault;
use super::reader::FOUND_MAX;
use super::rows::Value;
use super::tail::{Filter, Op, Operand};
use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value as Literal};

fn not_understood<T>(expr: &Expr) -> Result<T, Fault> {
    use sqlparser::ast::Spanned;
    let (start, shown) = (expr.span().start, expr.to_string());
    let shown: String = shown.chars().take(FOUND_MAX).collect();
    Err(Fault::syntax(format!(
        "a condition compares columns by = != < <= > >= LIKE IN BETWEEN IS NULL, with AND OR NOT; found '{shown}' at line {}, column {}",
        start.line, start.column
    )))
}

/// Chains of AND and of OR are walked, not recursed into: only parentheses go deeper, and those are few.
pub fn of(expr: Expr) -> Result<Filter, Fault> {
    match bare(expr) {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            chain(*left, *right, BinaryOperator::And).map(Filter::And)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
            chain(*left, *right, BinaryOperator::Or).map(Filter::Or)
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(Filter::Not(Box::new(of(*expr)?))),
        other => leaf(other),
    }
}

/// Without the parentheses around it.
fn bare(mut expr: Expr) -> Expr {
    while let Expr::Nested(inner) = expr {
        expr = *inner;
    }
    expr
}

fn chain(mut left: Expr, right: Expr, by: BinaryOperator) -> Result<Vec<Filter>, Fault> {
    let mut parts = vec![of(right)?];
    loop {
        match left {
            Expr::BinaryOp { left: before, op, right } if op == by => {
                parts.push(of(*right)?);
                left = *before;
            }
            first => {
                parts.push(of(first)?);
                parts.reverse();
                return Ok(parts);
            }
        }
    }
}

fn leaf(expr: Expr) -> Result<Filter, Fault> {
    let negated = |negated: bool, filter| if negated { Filter::Not(Box::new(filter)) } else { filter };
    match expr {
        Expr::BinaryOp { left, op, right } => match comparison(&op) {
            Some(op) => Ok(Filter::Compare { left: operand(*left)?, op, right: operand(*right)? }),
            None => not_understood(&Expr::BinaryOp { left, op, right }),
        },
        Expr::Like { negated: not, any: false, expr, pattern, escape_char: None } => match operand(*pattern)? {
            Operand::Literal(pattern) => {
                Ok(negated(not, Filter::Like { of: operand(*expr)?, pattern: pattern.shown().into_owned() }))
            }
            Operand::Column(_) => Err(Fault::syntax("LIKE takes a pattern in quotes")),
        },
        Expr::InList { expr, list, negated: not } => {
            let values = list.into_iter().map(operand).collect::<Result<Vec<_>, _>>()?;
            Ok(negated(not, Filter::Among { of: operand(*expr)?, values }))
        }
        Expr::Between { expr, negated: not, low, high } => {
            let of = operand(*expr)?;
            let from = Filter::Compare { left: of.clone(), op: Op::GreaterOrEqual, right: operand(*low)? };
            let to = Filter::Compare { left: of, op: Op::LessOrEqual, right: operand(*high)? };
            Ok(negated(not, Filter::And(vec![from, to])))
        }
        Expr::IsNull(of) => Ok(Filter::IsNull(operand(*of)?)),
        Expr::IsNotNull(of) => Ok(Filter::Not(Box::new(Filter::IsNull(operand(*of)?)))),
        other => not_understood(&other),
    }
}

fn comparison(op: &BinaryOperator) -> Option<Op> {
    Some(match op {
        BinaryOperator::Eq => Op::Equal,
        BinaryOperator::NotEq => Op::NotEqual,
        BinaryOperator::Lt => Op::Less,
        BinaryOperator::LtEq => Op::LessOrEqual,
        BinaryOperator::Gt => Op::Greater,
        BinaryOperator::GtEq => Op::GreaterOrEqual,
        _ => return None,
    })
}

fn operand(expr: Expr) -> Result<Operand, Fault> {
    match bare(expr) {
        Expr::Identifier(name) => Ok(Operand::Column(name.value)),
        Expr::CompoundIdentifier(names) => {
            Ok(Operand::Column(names.into_iter().next_back().map(|name| name.value).unwrap_or_default()))
        }
        // Of a group, in HAVING.
        Expr::Function(function) => Ok(Operand::Column(function.to_string())),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match operand(*expr)? {
            Operand::Literal(Value::Whole(number)) => Ok(Operand::Literal(Value::Whole(-number))),
            Operand::Literal(Value::Real(number)) => Ok(Operand::Literal(Value::Real(-number))),
            Operand::Literal(_) | Operand::Column(_) => Err(Fault::syntax("'-' stands before a number")),
        },
        Expr::Value(value) => match value.value {
            Literal::Number(number, _) => Ok(Operand::Literal(match number.parse() {
                Ok(whole) => Value::Whole(whole),
                Err(_) => number.parse().map_or(Value::Text(number), Value::Real),
            })),
            Literal::SingleQuotedString(text) | Literal::DoubleQuotedString(text) => {
                Ok(Operand::Literal(Value::Text(text)))
            }
            Literal::Boolean(is) => Ok(Operand::Literal(Value::from(is))),
            Literal::Null => Ok(Operand::Literal(Value::Null)),
            Literal::Placeholder(mark) if mark == "?" => Ok(Operand::Literal(Value::Null)),
            _ => not_understood(&Expr::Value(value)),
        },
        other => not_understood(&other),
    }
}
