//! Plans that were made before.
//!
//! Of reads, and of what writes show. A plan depends on the shape of a part and on what the rules that went into it decide
//! for the caller: the *facts*, which are the conditions in those rules that no row can change. Both are the key; values are
//! read anew for every request. A value that cannot be read, like everything else out of the ordinary, is left to the slow
//! way, which has the words for it. The cache is bounded by the size of what it holds.

use std::sync::Arc;

use mainstay_lang::eval::{Compiled, Env};
use mainstay_lang::expr::{Expr, Node};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use parking_lot::RwLock;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::bind::CallerEyes;
use crate::ctx::Ctx;
use crate::expression::walk_all;
use crate::part::Part;
use crate::resolve::params::{Reading, Source};
use crate::resolve::read::int_value;
use crate::shape::{Shape, ShapeValue, places_of};

/// Bytes that all kept plans may take.
const WEIGHT_MAX: u64 = 16 << 20;
/// Plans kept for one shape: callers differ in few ways that matter to one.
const VARIANTS_MAX: usize = 16;

/// Plans by shape.
#[derive(Debug)]
pub(crate) struct PlanCache<T> {
    shapes: Cache<Box<[u8]>, Arc<Entry<T>>, BySize>,
}

/// A plan that can be kept. Cloning it is cheap.
pub(crate) trait Plan: Clone {
    /// Roughly how many bytes it takes.
    fn bytes(&self) -> usize;
}

#[derive(Debug)]
struct Entry<T> {
    facts: Vec<Compiled>,
    variants: RwLock<Vec<Variant<T>>>,
}

/// What the facts are, and the plan for them.
type Variant<T> = (Vec<u8>, Arc<Kept<T>>);

/// A plan with the way from a request to its parameters.
#[derive(Debug)]
struct Kept<T> {
    plan: T,
    params: Vec<Param>,
}

#[derive(Debug)]
enum Param {
    Fixed(Value),
    Read(usize, Reading),
}

#[derive(Clone, Copy, Debug)]
struct BySize;

impl<T: Plan> Weighter<Box<[u8]>, Arc<Entry<T>>> for BySize {
    fn weight(&self, key: &Box<[u8]>, entry: &Arc<Entry<T>>) -> u64 {
        let variants = entry.variants.read();
        let plans = variants.iter().map(|(_, kept)| kept.plan.bytes() + kept.params.len() * 64);
        (key.len() + plans.sum::<usize>() + 512) as u64
    }
}

impl<T: Plan> PlanCache<T> {
    pub(crate) fn new() -> PlanCache<T> {
        PlanCache { shapes: Cache::with_weighter(1024, WEIGHT_MAX, BySize) }
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) {
        self.shapes.clear();
    }

    /// The plan of a shape for a caller, with the request's values for it.
    pub(crate) fn get(&self, ctx: &Ctx, shape: &Shape<'_>) -> Option<(T, Vec<Value>)> {
        let entry = self.shapes.get(shape.key.as_slice())?;
        let facts = decide(&entry.facts, ctx);
        let kept = {
            let variants = entry.variants.read();
            variants.iter().find(|(known, _)| *known == facts).map(|(_, kept)| kept.clone())?
        };
        let values = kept.params.iter().map(|param| param.value(shape)).collect::<Option<Vec<_>>>()?;
        Some((kept.plan.clone(), values))
    }

    /// Keeps a plan, if the way to its parameters is known. `rules` are those that went into it.
    pub(crate) fn put(
        &self,
        ctx: &Ctx,
        (shape, part): (&Shape<'_>, &Part),
        (plan, rules): (&T, &[Arc<Expr>]),
        (values, sources): (&[Value], &[Source]),
    ) {
        let Some(params) = params_of(part, values, sources) else { return };
        let Some(facts) = facts_of(rules) else { return };
        let decided = decide(&facts, ctx);
        let kept = Arc::new(Kept { plan: plan.clone(), params });
        let mut variants = vec![(decided, kept)];
        // An entry is replaced instead of grown, so that the cache weighs it anew.
        if let Some(known) = self.shapes.get(shape.key.as_slice())
            && known.facts.len() == facts.len()
        {
            let known = known.variants.read();
            let others = known.iter().filter(|(decided, _)| *decided != variants[0].0).take(VARIANTS_MAX - 1);
            let others: Vec<_> = others.cloned().collect();
            variants.extend(others);
        }
        let entry = Entry { facts, variants: RwLock::new(variants) };
        self.shapes.insert(shape.key.as_slice().into(), Arc::new(entry));
    }
}

impl Param {
    fn value(&self, shape: &Shape<'_>) -> Option<Value> {
        match self {
            Param::Fixed(value) => Some(value.clone()),
            Param::Read(place, reading) => read(*shape.values.get(*place)?, reading),
        }
    }
}

fn read(value: ShapeValue<'_>, reading: &Reading) -> Option<Value> {
    match (value, reading) {
        (ShapeValue::Raw(raw), Reading::Value(ty)) => {
            let value = Value::from_json(raw, ty).ok()?;
            value.check_length(ty).ok()?;
            Some(value)
        }
        (ShapeValue::Raw(raw), Reading::Rank(of)) => {
            match Value::from_json(raw, &Type::Enum(of.clone())).ok()? {
                Value::Text(name) => Some(int_value(of.rank(&name)? as u64)),
                _ => None,
            }
        }
        (ShapeValue::Number(number), Reading::Number(max)) => (number <= *max).then(|| int_value(number)),
        _ => None,
    }
}

/// The way from a request of the same shape to the parameters; `None` when one of them has none.
fn params_of(part: &Part, values: &[Value], sources: &[Source]) -> Option<Vec<Param>> {
    let places = places_of(part)?;
    let param = |(value, source): (&Value, &Source)| match source {
        Source::Shape => Some(Param::Fixed(value.clone())),
        Source::Request { path, reading } => {
            let mut found = places.iter().enumerate().filter(|(_, place)| *place == path);
            let (index, _) = found.next()?;
            // Parts that were not read from one document may have one path twice.
            found.next().is_none().then(|| Param::Read(index, reading.clone()))
        }
        Source::Once => None,
    };
    values.iter().zip(sources).map(param).collect()
}

/// The conditions in the rules that no row can change, largest first found.
fn facts_of(rules: &[Arc<Expr>]) -> Option<Vec<Compiled>> {
    let mut facts = Vec::new();
    for rule in rules {
        collect(rule, &mut facts);
    }
    facts.iter().map(|fact| Compiled::new(fact).ok()).collect()
}

fn collect(of: &Expr, facts: &mut Vec<Expr>) {
    // Smaller ones inside a larger one decide nothing more, but cost little and keep this simple.
    walk_all(of, &mut |expr| {
        if expr.ty == Type::Bool && expr.is_row_free() && !matches!(expr.node, Node::Literal(_)) {
            facts.push(expr.clone());
        }
    });
}

/// What the facts are for a caller, and what else a plan may depend on.
fn decide(facts: &[Compiled], ctx: &Ctx) -> Vec<u8> {
    let caller = &ctx.caller;
    let eyes = CallerEyes::new(ctx);
    let env = Env::of_row(&[], &eyes, ctx.now);
    let mut decided = Vec::with_capacity(facts.len() + 4);
    decided.extend(
        [caller.admin, caller.user.is_some(), ctx.tenant.is_some(), ctx.session.is_some()].map(u8::from),
    );
    decided.extend(facts.iter().map(|fact| match fact.test(&env) {
        Ok(Some(false)) => 0,
        Ok(Some(true)) => 1,
        Ok(None) => 2,
        Err(_) => 3,
    }));
    decided
}
