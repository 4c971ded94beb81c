-- File name templates.
local test = require "test"
local template = require "train.template"

local function fill(text, values) return template.parse(text):fill(values) end

test.case("fields take Python's formats", function()
  test.equal(fill("{epoch:02d}-{val_loss:.3f}", {epoch = 3, val_loss = 0.23456}), "03-0.235")
  test.equal(fill("out/{epoch}/{loss:.2e}", {epoch = 12, loss = 0.0123}), "out/12/1.23e-02")
  test.equal(fill("{accuracy:.1%}", {accuracy = 0.9123}), "91.2%")
  test.equal(fill("{step:06d}", {step = 500}), "000500")
  test.equal(fill("a{{b}}{epoch}", {epoch = 1}), "a{b}1")
  test.equal(fill("plain", {}), "plain")
  test.equal(fill("{grad_norm/0.fc:.1f}", {["grad_norm/0.fc"] = 2}), "2.0")
end)

test.case("unknown fields are found before they are needed", function()
  local t = template.parse("{epoch:02d}-{val_los:.3f}")
  test.raises("unknown field '{val_los}' .*did you mean 'val_loss'", t.check, t, {"loss", "val_loss"})
  template.parse("{epoch}-{batch}-{step}-{loss}"):check {"loss"}
end)

test.case("broken templates are errors", function()
  test.raises("bad format ':02q'", template.parse, "{epoch:02q}")
  test.raises("a brace without its field at character 4", template.parse, "out{epoch")
  test.raises("filepath must be text, got nil", template.parse, nil)
  test.raises("no value for the field '{loss}'", fill, "{loss}", {})
end)

test.case("the folder above the first field is known", function()
  test.equal(template.parse("out/deep/{epoch}/w"):fixed_folder(), "out/deep")
  test.equal(template.parse("out/w{epoch}"):fixed_folder(), "out")
  test.equal(template.parse("{epoch}"):fixed_folder(), ".")
  test.equal(template.parse("/x{epoch}"):fixed_folder(), "/")
  test.equal(template.parse("out/best"):fixed_folder(), "out")
end)

test.case("fill, alignment, sign and width are Python's", function()
  test.equal(fill("[{epoch:>4}|{epoch:<4}|{epoch:^4}|{epoch:*^5}|{epoch:04}|{epoch:+d}|{epoch: d}]", {epoch = 7}),
    "[   7|7   | 7  |**7**|0007|+7| 7]")
  test.equal(fill("{x:08.3f} {x:+.2e} {x:.3} {x:g} {x:=8.1f}", {x = -2.5}), "-002.500 -2.50e+00 -2.5 -2.5 -    2.5")
  test.equal(fill("{x}", {x = 0.1 + 0.2}), "0.30000000000000004")
  test.equal(fill("{x:.2f} {y:.2f}", {x = 0 / 0, y = -math.huge}), "nan -inf")
  test.raises("bad format ':.'", template.parse, "{epoch:.}")
  test.raises("bad format ':.2d'", template.parse, "{epoch:.2d}")
end)

test.case("NaN and infinity, capitals, and few digits without a type are Python's", function()
  test.equal(fill("{x:.1%} {y:.1%} {x:E} {x:.2F} {y:F} {y:g}", {x = 0 / 0, y = -math.huge}), "nan% -inf% NAN NAN -INF -inf")
  test.equal(fill("{x:.2F} {x:+.1F}", {x = 2.5}), "2.50 +2.5")
  test.equal(fill("{a:.1} {a:.2} {b:.3} {b:.4} {c:.1} {d:.2}", {a = 1.5, b = 123.456, c = 0.0, d = 1e-7}),
    "2e+00 1.5 1.23e+02 123.5 0e+00 1e-07")
end)
