//! What a WebAssembly module consists of: how many bytes of code each of its functions has, and under which name.

use crate::Result;

/// The sections that are looked into; the numbers are the format's.
const CUSTOM: u8 = 0;
const IMPORTS: u8 = 2;
const CODE: u8 = 10;

/// A module with the names of its functions, as they were before they were stripped.
#[derive(Default)]
pub(super) struct Module {
    /// The bytes of everything but code and names: data, types, imports, exports.
    pub(super) other: usize,
    /// The bytes of each function's code.
    code: Vec<usize>,
    /// Imported functions come first in the numbering.
    imported: usize,
    names: Vec<(usize, String)>,
}

impl Module {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut module = Self::default();
        let mut reader = Reader(bytes);
        if reader.take(8)? != b"\0asm\x01\0\0\0" {
            return Err("this is no WebAssembly module".into());
        }
        while !reader.0.is_empty() {
            let kind = reader.byte()?;
            let mut section = Reader(reader.sized()?);
            let size = section.0.len();
            match kind {
                CUSTOM => {
                    if section.name()? == "name" {
                        module.names = function_names(section)?;
                    }
                }
                CODE => {
                    for _ in 0..section.number()? {
                        module.code.push(section.sized()?.len());
                    }
                }
                IMPORTS => {
                    module.other += size;
                    module.imported = imported_functions(section)?;
                }
                _ => module.other += size,
            }
        }
        Ok(module)
    }

    /// The functions that have a name, each with its bytes of code.
    pub(super) fn functions(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().filter_map(|(number, name)| {
            let at = number.checked_sub(self.imported)?;
            Some((name.as_str(), *self.code.get(at)?))
        })
    }

    /// The bytes of all code, with a name or without.
    pub(super) fn code(&self) -> usize {
        self.code.iter().sum()
    }
}

/// How many of the imports are functions.
fn imported_functions(mut section: Reader<'_>) -> Result<usize> {
    let mut functions = 0;
    for _ in 0..section.number()? {
        section.sized()?;
        section.sized()?;
        match section.byte()? {
            0 => {
                functions += 1;
                section.number()?;
            }
            // A table, behind the type of its elements, and a memory have limits.
            kind @ (1 | 2) => {
                section.take(usize::from(kind == 1))?;
                let has_maximum = section.byte()? & 1 == 1;
                section.number()?;
                if has_maximum {
                    section.number()?;
                }
            }
            3 => drop(section.take(2)?),
            _ => return Err("an import of an unknown kind".into()),
        }
    }
    Ok(functions)
}

/// The names of functions are the first of the kinds of names.
fn function_names(mut section: Reader<'_>) -> Result<Vec<(usize, String)>> {
    let mut names = Vec::new();
    while !section.0.is_empty() {
        let kind = section.byte()?;
        let mut part = Reader(section.sized()?);
        if kind == 1 {
            for _ in 0..part.number()? {
                names.push((part.number()?, part.name()?));
            }
        }
    }
    Ok(names)
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(n).ok_or("the module is cut off")?;
        self.0 = left;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A number in LEB128.
    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number of too many bytes".into())
    }

    /// Bytes behind their number.
    fn sized(&mut self) -> Result<&'a [u8]> {
        let size = self.number()?;
        self.take(size)
    }

    fn name(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(self.sized()?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An imported function, two of its own with 2 and 3 bytes, and the names of all.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0\
        \x02\x07\x01\x01a\x01b\x00\x00\
        \x0a\x08\x02\x02\x00\x0b\x03\x00\x01\x0b\
        \x00\x14\x04name\x01\x0d\x03\x00\x02js\x01\x02it\x02\x02us";

    #[test]
    fn imported_functions_have_no_code() {
        let module = Module::parse(MODULE).unwrap();
        let functions: Vec<_> = module.functions().collect();
        assert_eq!(functions, [("it", 2), ("us", 3)]);
        assert_eq!((module.code(), module.other), (5, 7));
    }

    #[test]
    fn a_module_that_is_cut_off_is_an_error() {
        for end in [0, 4, 12, 20, MODULE.len() - 1] {
            assert!(Module::parse(&MODULE[..end]).is_err(), "{end}");
        }
    }
}
