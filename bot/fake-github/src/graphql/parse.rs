//! Owns reading a GraphQL document: operations, selections, arguments, variables, inline fragments. Pure.
//! Named fragments and directives are not read: no client of the double uses them, and a refusal says so.

use serde_json::{Map, Value};

/// One selected field, or the selections on one type.
#[derive(Debug, Clone)]
pub(crate) enum Selection {
    Field { alias: String, name: String, arguments: Map<String, Value>, selections: Vec<Selection> },
    On { kind: String, selections: Vec<Selection> },
}

/// A document of one operation, its variables already put in.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) mutation: bool,
    pub(crate) selections: Vec<Selection>,
}

/// Reads a document; the error is a sentence.
pub(crate) fn operation(text: &str, variables: &Value) -> Result<Operation, String> {
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens, at: 0, variables };
    let mut mutation = false;
    if !reader.peeks("{") {
        let word = reader.next()?;
        mutation = word == "mutation";
        if !mutation && word != "query" {
            return Err(format!("Expected a query or a mutation, got `{word}`"));
        }
        if !reader.peeks("{") && !reader.peeks("(") {
            reader.next()?;
        }
        reader.skip_definitions()?;
    }
    let selections = reader.selections()?;
    match reader.tokens.get(reader.at) {
        None => Ok(Operation { mutation, selections }),
        Some(more) => Err(format!("Expected the end of the document, got `{more}`")),
    }
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            c if c.is_whitespace() || c == ',' => {
                rest = &rest[c.len_utf8()..];
                continue;
            }
            '#' => {
                rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
                continue;
            }
            '"' => string_length(rest)?,
            '.' if rest.starts_with("...") => 3,
            c if "{}()[]:!$=@".contains(c) => 1,
            _ => rest.find(|c: char| c.is_whitespace() || "{}()[]:!$=,\"#@".contains(c)).unwrap_or(rest.len()),
        };
        tokens.push(rest[..length].to_owned());
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn string_length(text: &str) -> Result<usize, String> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return Ok(at + 1),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Err("A string is not closed".into())
}

struct Reader<'a> {
    tokens: Vec<String>,
    at: usize,
    variables: &'a Value,
}

impl Reader<'_> {
    fn peeks(&self, token: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|it| it == token)
    }

    fn next(&mut self) -> Result<String, String> {
        let token = self.tokens.get(self.at).cloned().ok_or("Unexpected end of document")?;
        self.at += 1;
        Ok(token)
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        let got = self.next()?;
        if got == token { Ok(()) } else { Err(format!("Expected `{token}`, got `{got}`")) }
    }

    fn skip_definitions(&mut self) -> Result<(), String> {
        if self.peeks("(") {
            while self.next()? != ")" {}
        }
        Ok(())
    }

    fn selections(&mut self) -> Result<Vec<Selection>, String> {
        self.expect("{")?;
        let mut selections = Vec::new();
        while !self.peeks("}") {
            selections.push(self.selection()?);
        }
        self.expect("}")?;
        Ok(selections)
    }

    fn selection(&mut self) -> Result<Selection, String> {
        let first = self.next()?;
        if first == "..." {
            if !self.peeks("on") {
                return Err("The double reads inline fragments only: write `... on Type { … }`".into());
            }
            self.next()?;
            return Ok(Selection::On { kind: self.next()?, selections: self.selections()? });
        }
        let mut name = first.clone();
        if self.peeks(":") {
            self.next()?;
            name = self.next()?;
        }
        let arguments = if self.peeks("(") { self.arguments()? } else { Map::new() };
        if self.peeks("@") {
            return Err("The double reads no directives".into());
        }
        let selections = if self.peeks("{") { self.selections()? } else { Vec::new() };
        Ok(Selection::Field { alias: first, name, arguments, selections })
    }

    fn arguments(&mut self) -> Result<Map<String, Value>, String> {
        self.expect("(")?;
        self.pairs(")")
    }

    fn pairs(&mut self, end: &str) -> Result<Map<String, Value>, String> {
        let mut map = Map::new();
        while !self.peeks(end) {
            let name = self.next()?;
            self.expect(":")?;
            map.insert(name, self.value()?);
        }
        self.expect(end)?;
        Ok(map)
    }

    fn value(&mut self) -> Result<Value, String> {
        let token = self.next()?;
        Ok(match token.as_str() {
            "$" => {
                let name = self.next()?;
                self.variables.get(&name).cloned().ok_or(format!("Variable ${name} was provided no value"))?
            }
            "{" => Value::Object(self.pairs("}")?),
            "[" => {
                let mut items = Vec::new();
                while !self.peeks("]") {
                    items.push(self.value()?);
                }
                self.expect("]")?;
                Value::Array(items)
            }
            // Words that are no JSON are values of an enum.
            word => serde_json::from_str(word).unwrap_or_else(|_| Value::String(word.to_owned())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Selection, operation};
    use serde_json::json;

    #[test]
    fn variables_aliases_and_fragments_are_read() {
        let text = "query Q($id: ID!, $n: Int = 3) { it: node(id: $id, kinds: [A, \"b\\\"c\"]) { ... on IssueComment { body } } }";
        let read = operation(text, &json!({"id": "IC_1"})).expect("it reads");
        let Selection::Field { alias, name, arguments, selections } = &read.selections[0] else { panic!("a field") };
        assert_eq!((alias.as_str(), name.as_str(), read.mutation), ("it", "node", false));
        assert_eq!(json!(arguments), json!({"id": "IC_1", "kinds": ["A", "b\"c"]}));
        assert!(matches!(&selections[0], Selection::On { kind, .. } if kind == "IssueComment"));
        assert_eq!(operation("{ a(id: $x) }", &json!({})).unwrap_err(), "Variable $x was provided no value");
        assert!(operation("{ a ", &json!({})).is_err());
    }
}
