//! The grammar of a path.

use serde_json::{Map, Number, Value};

use super::lex::{Token, tokens};
use super::{Comparison, Expression, Function, Node, Operand, Step, Subscript, Wrong};

/// Parts within parts: more than anybody writes, and fewer than a stack holds.
const DEPTH: usize = 100;

pub(super) fn path(path: &str) -> Result<Vec<Step>, Wrong> {
    let mut parser = Parser {
        tokens: tokens(path)?,
        at: 0,
        depth: 0,
    };
    parser.sign("$")?;
    let steps = parser.steps()?;
    match parser.peek() {
        None => Ok(steps),
        Some(_) => parser.unexpected("`.`, `..`, `[` or the end"),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let taken = self.is(sign);
        self.at += usize::from(taken);
        taken
    }

    fn take_word(&mut self, word: &str) -> bool {
        let taken = matches!(self.peek(), Some(Token::Word(found)) if *found == word);
        self.at += usize::from(taken);
        taken
    }

    fn sign(&mut self, sign: &str) -> Result<(), Wrong> {
        if self.take(sign) {
            Ok(())
        } else {
            self.unexpected(&format!("`{sign}`"))
        }
    }

    fn unexpected<T>(&self, expected: &str) -> Result<T, Wrong> {
        let Some((column, token)) = self.tokens.get(self.at) else {
            return Err(Wrong {
                column: None,
                what: format!("it ends where {expected} is expected"),
            });
        };
        let found = match token {
            Token::Sign(sign) | Token::Word(sign) => format!("`{sign}`"),
            Token::Name(text) | Token::Number(text) => format!("`{text}`"),
            Token::Text(text) => format!("\"{text}\""),
        };
        let twice = matches!(token, Token::Sign("="))
            && self.at > 0
            && self.tokens[self.at - 1].1 == *token;
        let hint = if twice { "; equality is one `=`" } else { "" };
        Err(Wrong {
            column: Some(*column),
            what: format!("{expected} is expected, not {found}{hint}"),
        })
    }

    /// Goes into a part, and comes back.
    fn within<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, Wrong>) -> Result<T, Wrong> {
        if self.depth == DEPTH {
            return Err(Wrong {
                column: None,
                what: format!("it has more than {DEPTH} parts within parts"),
            });
        }
        self.depth += 1;
        let part = part(self);
        self.depth -= 1;
        part
    }

    fn steps(&mut self) -> Result<Vec<Step>, Wrong> {
        let mut steps = Vec::new();
        loop {
            if self.take("..") {
                let subscripts = if self.is("[") {
                    self.subscripts()?
                } else {
                    vec![self.bare()?]
                };
                steps.push(Step {
                    descends: true,
                    subscripts,
                });
            } else if self.take(".") {
                steps.push(Step {
                    descends: false,
                    subscripts: vec![self.bare()?],
                });
            } else if self.is("[") {
                steps.push(Step {
                    descends: false,
                    subscripts: self.subscripts()?,
                });
            } else {
                return Ok(steps);
            }
        }
    }

    fn bare(&mut self) -> Result<Subscript, Wrong> {
        if self.take("*") {
            return Ok(Subscript::Wildcard);
        }
        let Some(Token::Name(name)) = self.peek().cloned() else {
            return self.unexpected("a name or `*`");
        };
        self.at += 1;
        if self.is("(") {
            self.call(&name)
        } else {
            Ok(Subscript::Name(name))
        }
    }

    fn subscripts(&mut self) -> Result<Vec<Subscript>, Wrong> {
        self.sign("[")?;
        let mut subscripts = vec![self.within(Self::subscript)?];
        while self.take(",") {
            subscripts.push(self.within(Self::subscript)?);
        }
        self.sign("]")?;
        Ok(subscripts)
    }

    fn subscript(&mut self) -> Result<Subscript, Wrong> {
        match self.peek().cloned() {
            Some(Token::Text(name)) => {
                self.at += 1;
                Ok(Subscript::Name(name))
            }
            Some(Token::Number(_)) => {
                let index = self.index()?;
                match index {
                    Some(index) if !self.is(":") => Ok(Subscript::Index(index)),
                    index => self.slice(index),
                }
            }
            Some(Token::Sign(":")) => self.slice(None),
            Some(Token::Sign("*")) => self.bare(),
            Some(Token::Sign("?")) => {
                self.at += 1;
                self.sign("(")?;
                let filter = self.expression()?;
                self.sign(")")?;
                Ok(Subscript::Filter(filter))
            }
            Some(Token::Sign("$" | "@")) => Ok(Subscript::Node(self.node()?)),
            Some(Token::Name(name)) => {
                self.at += 1;
                self.call(&name)
            }
            _ => self.unexpected("a name in \", a number, `:`, `*`, `?(`, `$` or `@`"),
        }
    }

    /// A number that an item may have; none if there is no number.
    fn index(&mut self) -> Result<Option<i64>, Wrong> {
        let Some(Token::Number(number)) = self.peek() else {
            return Ok(None);
        };
        if number.contains(['.', 'e', 'E']) {
            return self.unexpected("a whole number");
        }
        // Nothing has so many items that more would matter.
        let beyond = if number.starts_with('-') {
            -i64::from(u32::MAX)
        } else {
            i64::from(u32::MAX)
        };
        let index = number
            .parse()
            .unwrap_or(beyond)
            .clamp(-i64::from(u32::MAX), i64::from(u32::MAX));
        self.at += 1;
        Ok(Some(index))
    }

    fn slice(&mut self, start: Option<i64>) -> Result<Subscript, Wrong> {
        self.sign(":")?;
        let end = self.index()?;
        let step = if self.take(":") { self.index()? } else { None };
        Ok(Subscript::Slice { start, end, step })
    }

    fn call(&mut self, name: &str) -> Result<Subscript, Wrong> {
        let function = match name {
            "charAt" => Function::CharAt,
            "entries" => Function::Entries,
            "keys" => Function::Keys,
            "length" => Function::Length,
            "substring" => Function::Substring,
            "values" => Function::Values,
            _ => {
                let what = format!(
                    "there is no function {name}: write charAt, entries, keys, length, substring or values"
                );
                return Err(Wrong {
                    column: self.tokens.get(self.at - 1).map(|(column, _)| *column),
                    what,
                });
            }
        };
        self.sign("(")?;
        let mut arguments = Vec::new();
        if !self.take(")") {
            arguments.push(self.within(Self::operand)?);
            while self.take(",") {
                arguments.push(self.within(Self::operand)?);
            }
            self.sign(")")?;
        }
        Ok(Subscript::Call {
            function,
            arguments,
        })
    }

    fn node(&mut self) -> Result<Node, Wrong> {
        let from_root = self.take("$");
        if !from_root {
            self.sign("@")?;
        }
        Ok(Node {
            from_root,
            steps: self.steps()?,
        })
    }

    fn operand(&mut self) -> Result<Operand, Wrong> {
        if self.is("$") || self.is("@") {
            self.node().map(Operand::Node)
        } else {
            self.value().map(Operand::Value)
        }
    }

    /// `or` binds closer than `and` in this dialect.
    fn expression(&mut self) -> Result<Expression, Wrong> {
        let mut all = vec![self.any()?];
        while self.take_word("and") {
            all.push(self.any()?);
        }
        Ok(Expression::All(all))
    }

    fn any(&mut self) -> Result<Expression, Wrong> {
        let mut any = vec![self.within(Self::single)?];
        while self.take_word("or") {
            any.push(self.within(Self::single)?);
        }
        Ok(Expression::Any(any))
    }

    fn single(&mut self) -> Result<Expression, Wrong> {
        if self.take_word("not") {
            return Ok(Expression::Not(Box::new(self.within(Self::single)?)));
        }
        if self.take("(") {
            let inside = self.expression()?;
            self.sign(")")?;
            return Ok(inside);
        }
        let left = self.operand()?;
        let comparison = match self.peek() {
            Some(Token::Sign("=")) => Comparison::Equal,
            Some(Token::Sign("!=")) => Comparison::NotEqual,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::LessOrEqual,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
            _ => return Ok(Expression::Some(left)),
        };
        self.at += 1;
        Ok(Expression::Compare(comparison, left, self.operand()?))
    }

    fn value(&mut self) -> Result<Value, Wrong> {
        let value = match self.peek() {
            Some(Token::Text(text)) => Value::String(text.clone()),
            Some(Token::Number(_)) => return self.number(),
            Some(Token::Word("true")) => Value::Bool(true),
            Some(Token::Word("false")) => Value::Bool(false),
            Some(Token::Word("null")) => Value::Null,
            Some(Token::Sign("[")) => return self.within(Self::array),
            Some(Token::Sign("{")) => return self.within(Self::object),
            _ => return self.unexpected("a value, `$` or `@`"),
        };
        self.at += 1;
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, Wrong> {
        let Some(Token::Number(number)) = self.next() else {
            return self.unexpected("a number");
        };
        let whole = (!number.contains(['.', 'e', 'E']))
            .then(|| number.parse::<i64>().ok().map(Value::from))
            .flatten();
        let float = || {
            number
                .parse::<f64>()
                .ok()
                .and_then(Number::from_f64)
                .map(Value::Number)
        };
        whole.or_else(float).ok_or_else(|| Wrong {
            column: None,
            what: format!("{number} is too large"),
        })
    }

    fn array(&mut self) -> Result<Value, Wrong> {
        self.sign("[")?;
        let mut items = Vec::new();
        if !self.take("]") {
            items.push(self.value()?);
            while self.take(",") {
                items.push(self.value()?);
            }
            self.sign("]")?;
        }
        Ok(Value::Array(items))
    }

    fn object(&mut self) -> Result<Value, Wrong> {
        self.sign("{")?;
        let mut entries = Map::new();
        if !self.take("}") {
            loop {
                let Some(Token::Text(key)) = self.peek().cloned() else {
                    return self.unexpected("a name in \"");
                };
                self.at += 1;
                self.sign(":")?;
                entries.insert(key, self.value()?);
                if !self.take(",") {
                    break;
                }
            }
            self.sign("}")?;
        }
        Ok(Value::Object(entries))
    }
}
