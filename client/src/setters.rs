//! Settings that may be left open, and are set one after the other.

/// A method for each setting that sets it: `name: type` is a field of that name and of type
/// `Option<type>`.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = Some($name);
                self
            }
        )*
    };
}

pub(crate) use setters;
