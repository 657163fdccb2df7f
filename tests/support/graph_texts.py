"""Texts of graphs that several tests use."""

ENRICH = """
graph enrich {
  input { id: String  factor: Int? }
  node fetch : Fetch { input { id = ctx.id } timeout = 5s }
  transform scaled { value = fetch.output.value * (ctx.factor ?? 1) }
}
"""
"""The graph `enrich.bloge`, which `EVERYTHING` imports."""

EVERYTHING = r"""
import "./enrich" as enrichment

graph everything {
  input { batch: String  parts: [Part]? }
  output { report: { n: Int } }
  schema Part { id: String  size: Int? }

  node load : Load {
    input { id = ctx.batch  limit = 5m  name = "batch ${ctx.batch}: ${upper(ctx.kind)}" }
    output { items: [Part] }
    timeout = 10s
    retry = { attempts: 2, backoff: 500ms, strategy: exponential, max_backoff: 1m, non_retryable: ["ValueError"] }
  }
  branch on load.output.kind {
    "small" -> quick
    ["big", 1] -> [slow, audit]
    otherwise -> quick
  }
  branch mode=inclusive on true {
    load.output.n > 3 && !(load.output?.flag ?? false) -> audit
    load.output.n % 2 == 0 || ctx.force -> slow
  }
  node quick : Op { timeout = 1s  fallback = { label: null } }
  node slow : VisionModel {
    depends_on = [load]
    execution_mode = remote
    worker_topic = "vision"
    timeout = 90s
    on_dead_letter = resume_with_failure
    output : Part
  }
  node audit : Op { timeout = 1s }
  foreach label : (part, i) in load.output.items {
    max_concurrency = 50
    on_item_failure = continue
    depends_on = [audit]
    node infer : VisionModel {
      input { image = part.image  position = i + 1  all = load.output.items[0]["size"] }
      execution_mode = remote
      worker_topic = "vision"
      timeout = 90s
    }
    foreach deep : word in infer.output.words sequential {
      transform upperCase { word = upper(word) }
    }
    branch on infer.output.sure { true -> keep }
    transform keep { label = infer.output.label }
    node each : enrichment { input { id = part.id } scope = parent }
  }
  node enriched : enrichment {
    input { id = ctx.batch  factor = -2 }
    timeout = 1m
    retry = { attempts: 1 }
    fallback = { scaled: { value: 0 } }
  }
  transform report {
    let labels = map(label.output, x -> x?.keep)
    let known = filter(labels, (one, at) -> one != null)
    n: Int = size(known)
    rate: Number = size(labels) == 0 ? 0 : size(known) / size(labels)
    kind = when load.output.kind { "small" -> "s", otherwise -> "l" }
    none = when { ctx.force -> 1 }
  }
}
"""
"""A graph with every construct of the language."""
