//! The ways by which somebody shows who they are, as an answer names them to whoever is asked for one.
//!
//! It knows their names alone: what each is, and who has which, is known where identities are kept.

use std::ops::BitOr;

/// Ways to show who somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Factors(u8);

impl Factors {
    /// None.
    pub const NONE: Factors = Factors(0);
    /// A password.
    pub const PASSWORD: Factors = Factors(1);
    /// A code of an app that makes them by the clock.
    pub const TOTP: Factors = Factors(1 << 1);
    /// A key of a phone, a computer or a stick.
    pub const PASSKEY: Factors = Factors(1 << 2);
    /// A code in a mail.
    pub const MAIL: Factors = Factors(1 << 3);
    /// A code that was written down for when the others are lost.
    pub const RECOVERY: Factors = Factors(1 << 4);

    const NAMES: [(Factors, &'static str); 5] = [
        (Factors::PASSWORD, "password"),
        (Factors::TOTP, "totp"),
        (Factors::PASSKEY, "passkey"),
        (Factors::MAIL, "mail"),
        (Factors::RECOVERY, "recovery"),
    ];

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether one is among them.
    pub fn has(self, one: Factors) -> bool {
        self.0 & one.0 != 0
    }

    /// Their names on the wire.
    pub fn names(self) -> Vec<&'static str> {
        Factors::NAMES.iter().filter(|(one, _)| self.has(*one)).map(|(_, name)| *name).collect()
    }
}

impl BitOr for Factors {
    type Output = Factors;

    fn bitor(self, other: Factors) -> Factors {
        Factors(self.0 | other.0)
    }
}
