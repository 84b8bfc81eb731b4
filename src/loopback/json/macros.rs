//! [`json!`]: values written as JSON.

/// A [`Value`](crate::loopback::json::Value) written as JSON, as `serde_json::json!` has it. Values that stand in
/// it are shared, not copied.
macro_rules! json {
    // The items of an array: those that are done in brackets, then the rest.
    (@items [$($done:expr,)*]) => { vec![$($done,)*] };
    (@items [$($done:expr,)*] null $(, $($rest:tt)*)?) => {
        $crate::loopback::json::json!(@items [$($done,)* $crate::loopback::json::json!(null),] $($($rest)*)?)
    };
    (@items [$($done:expr,)*] [$($item:tt)*] $(, $($rest:tt)*)?) => {
        $crate::loopback::json::json!(@items [$($done,)* $crate::loopback::json::json!([$($item)*]),] $($($rest)*)?)
    };
    (@items [$($done:expr,)*] {$($item:tt)*} $(, $($rest:tt)*)?) => {
        $crate::loopback::json::json!(@items [$($done,)* $crate::loopback::json::json!({$($item)*}),] $($($rest)*)?)
    };
    (@items [$($done:expr,)*] $item:expr $(, $($rest:tt)*)?) => {
        $crate::loopback::json::json!(@items [$($done,)* $crate::loopback::json::json!($item),] $($($rest)*)?)
    };

    // The members of an object: the map, the part of a key that was read, then the rest.
    (@members $map:ident ()) => {};
    (@members $map:ident ($($key:tt)+) : null $(, $($rest:tt)*)?) => {
        $map.insert($($key)+, $crate::loopback::json::json!(null));
        $crate::loopback::json::json!(@members $map () $($($rest)*)?);
    };
    (@members $map:ident ($($key:tt)+) : [$($value:tt)*] $(, $($rest:tt)*)?) => {
        $map.insert($($key)+, $crate::loopback::json::json!([$($value)*]));
        $crate::loopback::json::json!(@members $map () $($($rest)*)?);
    };
    (@members $map:ident ($($key:tt)+) : {$($value:tt)*} $(, $($rest:tt)*)?) => {
        $map.insert($($key)+, $crate::loopback::json::json!({$($value)*}));
        $crate::loopback::json::json!(@members $map () $($($rest)*)?);
    };
    (@members $map:ident ($($key:tt)+) : $value:expr $(, $($rest:tt)*)?) => {
        $map.insert($($key)+, $crate::loopback::json::json!($value));
        $crate::loopback::json::json!(@members $map () $($($rest)*)?);
    };
    (@members $map:ident ($($key:tt)*) $next:tt $($rest:tt)*) => {
        $crate::loopback::json::json!(@members $map ($($key)* $next) $($rest)*);
    };

    (null) => { $crate::loopback::json::Value::Null };
    ([$($items:tt)*]) => {
        $crate::loopback::json::Value::from($crate::loopback::json::json!(@items [] $($items)*))
    };
    ({}) => { $crate::loopback::json::Value::from($crate::loopback::json::Map::new()) };
    ({$($members:tt)*}) => {{
        let mut map = $crate::loopback::json::Map::new();
        $crate::loopback::json::json!(@members map () $($members)*);
        $crate::loopback::json::Value::from(map)
    }};
    ($value:expr) => { $crate::loopback::json::ToJson::to_json(&$value) };
}

pub(crate) use json;
