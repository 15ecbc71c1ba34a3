//! A key of the configuration file: its declaration, and where its value is stored.

use super::form::Form;

/// What a reload does with a changed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The new value is in force from the reload on.
    Live,
    /// The old value stays in force until a restart.
    Restart,
}

/// The declaration of a key.
#[derive(Debug)]
pub struct Key {
    /// Its full name, `limits.auth_timeout`.
    pub name: &'static str,
    /// Its documentation, line by line.
    pub docs: &'static [&'static str],
    /// What its value must be; the text follows "expected" in errors.
    pub expects: String,
    /// Its default in TOML, if it has one.
    pub default: Option<String>,
    /// A valid value in TOML.
    pub example: String,
    /// `true` if the configuration must set the key.
    pub required: bool,
    /// The environment variable that wins over it.
    pub variable: Option<&'static str>,
    /// What a reload does with a changed value.
    pub reload: Reload,
}

impl Key {
    /// Returns the table that the key belongs to; empty for the top of the file.
    pub fn table(&self) -> &'static str {
        self.name.rsplit_once('.').map_or("", |(table, _)| table)
    }

    /// Returns the name within its table.
    pub fn short(&self) -> &'static str {
        self.name.rsplit_once('.').map_or(self.name, |(_, name)| name)
    }
}

/// The declaration of a key whose value is a `T`. Built from a [`Form`].
pub(crate) struct Declared<T> {
    pub(crate) form: Form<T>,
    pub(crate) default: T,
    pub(crate) name: Option<&'static str>,
    pub(crate) variable: Option<Variable>,
    example: Option<&'static str>,
    note: Option<&'static str>,
    required: bool,
    reload: Reload,
}

/// An environment variable that wins over the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    /// `true` if the variable holds several values with commas between them.
    pub(crate) is_list: bool,
}

impl<T: 'static> Form<T> {
    /// Declares a key that has the value `default` if the configuration does not set it.
    pub(crate) fn default(self, default: T) -> Declared<T> {
        Declared {
            form: self,
            default,
            name: None,
            variable: None,
            example: None,
            note: None,
            required: false,
            reload: Reload::Restart,
        }
    }

    /// Declares a key without a default. `example` is a valid value in TOML.
    pub(crate) fn optional(self, example: &'static str) -> Declared<Option<T>> {
        self.or_missing().default(None).example(example)
    }
}

impl<T> Declared<T> {
    /// Sets a valid value in TOML, which errors show and which stands in for a missing default.
    pub(crate) fn example(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }

    /// Declares that a reload puts a new value in force. Without this, a new value needs a restart.
    pub(crate) fn live(self) -> Self {
        Self { reload: Reload::Live, ..self }
    }

    /// Sets what is printed if the key has no value.
    pub(crate) fn note(self, note: &'static str) -> Self {
        Self { note: Some(note), ..self }
    }

    /// Declares that the configuration must set the key.
    pub(crate) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Declares an environment variable that wins over the file.
    pub(crate) fn variable(self, name: &'static str) -> Self {
        Self { variable: Some(Variable { name, is_list: false }), ..self }
    }

    /// Like [`Declared::variable`], with commas between several values.
    pub(crate) fn list_variable(self, name: &'static str) -> Self {
        Self { variable: Some(Variable { name, is_list: true }), ..self }
    }

    /// Sets the full name, if it differs from the names of the table and the field.
    pub(crate) fn named(self, name: &'static str) -> Self {
        Self { name: Some(name), ..self }
    }
}

impl<T: 'static> Declared<T> {
    /// Returns what the value must be, and a valid value in TOML.
    pub(crate) fn help(&self) -> (String, String) {
        let default = || self.form.write(&self.default).unwrap_or_default();
        let example = self.example.map_or_else(default, str::to_owned);
        (self.form.expects().to_owned(), example)
    }

    fn key(&self, name: &'static str, docs: &'static [&'static str]) -> Key {
        let (expects, example) = self.help();
        Key {
            name: self.name.unwrap_or(name),
            docs,
            expects,
            default: self.form.write(&self.default),
            example,
            required: self.required,
            variable: self.variable.map(|variable| variable.name),
            reload: self.reload,
        }
    }
}

type Shown<S> = dyn Fn(&S) -> Option<String> + Send + Sync;
type Differs<S> = dyn Fn(&S, &S) -> bool + Send + Sync;
type Keep<S> = dyn Fn(&mut S, &S) + Send + Sync;

/// Accesses the value of a key in settings of type `S`.
pub(crate) struct Access<S> {
    shown: Box<Shown<S>>,
    differs: Box<Differs<S>>,
    keep: Box<Keep<S>>,
}

impl<S: 'static> Access<S> {
    /// Reads the value by `get`; the value is not printed, and a reload does not restore it.
    pub(crate) fn of<V: PartialEq + 'static>(get: fn(&S) -> V) -> Self {
        Self::compared(move |old, new| get(old) != get(new))
    }

    /// Like [`Access::of`], with `differs` as the comparison.
    pub(crate) fn compared(differs: impl Fn(&S, &S) -> bool + Send + Sync + 'static) -> Self {
        Self { shown: Box::new(|_| None), differs: Box::new(differs), keep: Box::new(|_, _| {}) }
    }

    /// Sets the function that prints the value, without a secret.
    pub(crate) fn shown(self, shown: fn(&S) -> Option<String>) -> Self {
        Self { shown: Box::new(shown), ..self }
    }

    /// Sets the function that copies the old value (second argument) into the new settings.
    pub(crate) fn kept(self, keep: fn(&mut S, &S)) -> Self {
        Self { keep: Box::new(keep), ..self }
    }
}

/// A key, with access to its value in settings of type `S`.
pub struct Field<S> {
    /// The declaration.
    pub key: Key,
    access: Access<S>,
}

impl<S: 'static> Field<S> {
    /// Makes a key whose value is a field of `S`.
    pub(crate) fn direct<T: Clone + PartialEq + 'static>(
        declared: Declared<T>,
        name: &'static str,
        docs: &'static [&'static str],
        get: fn(&S) -> &T,
        get_mut: fn(&mut S) -> &mut T,
    ) -> Self {
        let key = declared.key(name, docs);
        let (form, note, short) = (declared.form, declared.note, key.short());
        let shown = move |of: &S| match form.write(get(of)) {
            Some(value) => Some(format!("{short} = {value}")),
            None => note.map(|note| format!("# {note}")),
        };
        let access = Access {
            shown: Box::new(shown),
            differs: Box::new(move |old, new| get(old) != get(new)),
            keep: Box::new(move |new, old| get_mut(new).clone_from(get(old))),
        };
        Self { key, access }
    }

    /// Makes a key whose value is combined with others into a part of `S`.
    pub(crate) fn indirect<T: 'static>(
        declared: &Declared<T>,
        name: &'static str,
        docs: &'static [&'static str],
        access: Access<S>,
    ) -> Self {
        Self { key: declared.key(name, docs), access }
    }

    /// Returns the same key for the settings that contain `S`.
    pub(crate) fn within<W: 'static>(
        self,
        get: fn(&W) -> &S,
        get_mut: fn(&mut W) -> &mut S,
    ) -> Field<W> {
        let Access { shown, differs, keep } = self.access;
        let access = Access {
            shown: Box::new(move |of| shown(get(of))),
            differs: Box::new(move |old, new| differs(get(old), get(new))),
            keep: Box::new(move |new, old| keep(get_mut(new), get(old))),
        };
        Field { key: self.key, access }
    }

    /// Like [`Field::within`], for an optional part; a reload restores the part as a whole.
    pub(crate) fn within_optional<W: 'static>(
        self,
        get: fn(&W) -> &Option<S>,
        get_mut: fn(&mut W) -> &mut Option<S>,
    ) -> Field<W>
    where
        S: Clone,
    {
        let Access { shown, differs, .. } = self.access;
        let differs = move |old: &W, new: &W| match (get(old), get(new)) {
            (Some(old), Some(new)) => differs(old, new),
            (None, None) => false,
            _ => true,
        };
        let access = Access {
            shown: Box::new(move |of| shown(get(of).as_ref()?)),
            differs: Box::new(differs),
            keep: Box::new(move |new, old| get_mut(new).clone_from(get(old))),
        };
        Field { key: self.key, access }
    }

    /// Like [`Field::within`], for a part that there may be several of; `same` says which of two lists belong
    /// together. The values are not printed, and a reload does not restore them.
    pub(crate) fn within_each<W: 'static>(
        self,
        get: fn(&W) -> &Vec<S>,
        same: fn(&S, &S) -> bool,
    ) -> Field<W> {
        let differs = self.access.differs;
        let differs = move |old: &W, new: &W| {
            let (old, new) = (get(old), get(new));
            let pair = |one: &S| old.iter().find(|other| same(one, other));
            old.len() != new.len()
                || new.iter().any(|one| pair(one).is_none_or(|other| differs(other, one)))
        };
        Field { key: self.key, access: Access::compared(differs) }
    }

    /// Returns the line that prints the value, without a secret; `None` if there is nothing to
    /// print.
    pub fn shown(&self, of: &S) -> Option<String> {
        (self.access.shown)(of)
    }

    /// Returns whether the values of `old` and `new` differ. Secrets are compared too.
    pub fn differs(&self, old: &S, new: &S) -> bool {
        (self.access.differs)(old, new)
    }

    /// Copies the old value into `new`, if the key needs a restart.
    pub fn keep(&self, new: &mut S, old: &S) {
        if self.key.reload == Reload::Restart {
            (self.access.keep)(new, old);
        }
    }
}

impl<S> std::fmt::Debug for Field<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.key.fmt(f)
    }
}
