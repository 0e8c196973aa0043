//! What a caller is kept under.

use mainstay_lang::value::Value;
use uuid::Uuid;

use crate::ctx::Claims;

/// What a caller is kept under.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Name {
    /// A session outside of tenants. Whose it is, is not said: the caller under it is somebody's, who is looked at.
    Session(Uuid),
    /// All that other claims say.
    Claims(Box<[u8]>),
}

/// What the caller of claims is kept under.
pub(super) fn name_of(claims: &Claims) -> Name {
    if let (None, Some(Value::Uuid(session))) = (&claims.tenant, &claims.session) {
        return Name::Session(*session);
    }
    let mut name = Vec::with_capacity(64);
    write_key(&claims.user, &mut name);
    for value in [&claims.tenant, &claims.session] {
        match value {
            Some(value) => write_key(value, &mut name),
            None => name.push(0),
        }
    }
    Name::Claims(name.into())
}

/// Writes a key so that no other one, and no key with what follows, is written alike.
pub(super) fn write_key(key: &Value, into: &mut Vec<u8>) {
    match key {
        Value::Uuid(id) => {
            into.push(1);
            into.extend_from_slice(id.as_bytes());
        }
        Value::Int(number) => {
            into.push(2);
            into.extend_from_slice(&number.to_le_bytes());
        }
        other => {
            into.push(3);
            let at = into.len();
            into.extend_from_slice(&[0; 8]);
            other.write_json(into);
            let bytes = (into.len() - at - 8) as u64;
            into[at..at + 8].copy_from_slice(&bytes.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mainstay_lang::value::Value;
    use uuid::Uuid;

    use super::{Name, name_of};
    use crate::ctx::Claims;

    #[test]
    fn no_two_claims_of_a_user_are_kept_under_one_name() {
        let id = Value::Uuid(Uuid::from_u128(1));
        let text = |text: &str| Value::Text(text.to_owned());
        let keys =
            [id.clone(), Value::Int(1), Value::Int(-1), text(""), text("1"), text("\0"), text("1\u{1}")];
        let mut names = BTreeSet::new();
        let mut count = 0;
        let optional = || std::iter::once(None).chain(keys.iter().cloned().map(Some));
        for user in &keys {
            for tenant in optional() {
                for session in optional() {
                    let claims = Claims { user: user.clone(), tenant: tenant.clone(), session };
                    // Under a session alone, the caller that is kept tells whose it is.
                    let name = name_of(&claims);
                    let user = matches!(name, Name::Session(_)).then(|| user.to_json());
                    names.insert((name, user));
                    count += 1;
                }
            }
        }
        assert_eq!(names.len(), count);
    }
}
