-- What each verb of the command line says about itself: `trainhost VERB --help`, `trainhost doc VERB`.
local usage = {}

usage.test = [[
trainhost test [OPTION ...] FILE|FOLDER ...   runs Lua tests

Runs the tests in the files, and in every .lua file below the folders that requires "test"; hidden folders are left out.
  --filter TEXT   only cases whose name, or whose file's name, holds TEXT
  --verbose       names each case before it runs
  --budget SECONDS [--seed N]   a sample: the files in an order given by the seed (1), no case begins after so many seconds
Exit codes: 0 nothing failed, 1 a test failed, 2 wrong command line.]]

usage.attach = [[
trainhost attach               lists the trainings that run
trainhost attach RUN           opens a console in one
trainhost attach RUN CODE      runs CODE there and leaves

RUN is one of: the number (#) in the list, the process, the script, the name of the MLflow run, its id or the beginning of
that (4 letters or more). What fits several of them is refused, with their list.

Lines are run between two steps, also during validation, in the process of the training: state, lr(value), save(path),
stop(reason), help() and any Lua; io.open and os.execute work there too, in its folder, and the training waits for them.
Tab completes the names that are there. Ctrl-C gives up what is being run, at the prompt what is typed; Ctrl-D or exit
leaves, the training goes on. Each line is a tag of the MLflow run and goes into a journal, which train.replay does again.
train.fit, train.evaluate, train.predict and loops with train.state{...} can be attached to (attach = false: not); a loop
with a callback list of its own adds train.Attach().
  --timeout SECONDS   how long a line may take before it is given up: 10, 0 for no limit
Exit codes: 0 done, 1 the code failed or there is no such training, 2 wrong command line, 130 interrupted.]]

usage.check = [[
trainhost check SCRIPT|FOLDER ...                finds mistakes before a script runs
trainhost check --explain SCRIPT [-- ARGUMENT ...]
                                                 the same, then runs the script up to its first training: what that
                                                 refuses, and the order in which its callbacks hear each event

Without running it: syntax, unknown names and globals, unused variables, tensors as conditions and in comparisons, loops over
what is no iterator, and in what is written out: arguments and keywords of functions of torch, layers and optimizers, sizes
of layers that do not fit each other, arguments of train.fit, options of callbacks, misspelt hooks, names of losses, optimizers
and metrics, monitors and fields of file names that this fit does not log.
What is computed (tables made by functions, data, most shapes, files) shows with --explain alone.
One line a finding, FILE:LINE: TEXT, as editors read it.
  --json          the findings as a JSON list of {file, line, column, severity, message, hint}; severity is "error" or
                  "warning" (what may be meant: unused variables, globals), columns are bytes from 1
Exit codes: 0 nothing found, 1 something was found, 2 wrong command line.]]

usage.inspect = [[
trainhost inspect FOLDER   shows what a checkpoint holds, every byte checked

FOLDER is a checkpoint, or a folder of checkpoints: then a line each.
Exit codes: 0 whole, 1 damaged or no checkpoint, 2 wrong command line.]]

usage.sync = [[
trainhost sync [FOLDER]   stores what killed processes have logged there and not stored

FOLDER is the one in which they ran, this one without it. Its runs go to their mlflow.db, or to their tracking server:
the user is that of MLflow's environment variables. Runs of processes that are no more end as KILLED.
Exit codes: 0 all is stored, 1 something could not be stored yet, 2 wrong command line.]]

usage.doc = [[
trainhost doc NAME ...   what there is about torch.add, nn.Linear, Tensor.sum, F.relu, train.fit, Run.log_metric
trainhost doc VERB       about a verb of the command line, such as attach
trainhost doc            what there is: the namespaces

Exit codes: 0 found, 1 there is nothing of that name, 2 wrong command line.]]

local RUN <const> = [[
RUN is one of: an id, a name, last (the run that was started last), the beginning of an id. What fits several runs is
refused, with their list. They are looked for in the mlflow.db of this folder:
  --uri URI       in another one, by its path or tracking URI, or on a server; also MLFLOW_TRACKING_URI]]

usage.runs = [[
trainhost runs [options]   the runs that were logged, the latest first

  --experiment NAME   only those of an experiment, by its name or its id
  --sort NAME         by the latest value of a metric, the best first where its name tells what is better (loss: the least,
                      accuracy: the greatest), else the least; or by params.NAME, tags.NAME, age, name, status, duration,
                      start_time, end_time; "NAME asc" and "NAME desc" say it
  --filter TEXT       MLflow's: "metrics.loss < 1 AND params.lr = '0.1' AND attributes.status = 'FINISHED'"
  --limit N           so many at most: 20
  --metric NAME, --param NAME   what is shown of each (several times); without them some metrics and what differs of params
  --uri URI           another store than the mlflow.db of this folder, by its path or tracking URI, or a server; also
                      MLFLOW_TRACKING_URI
  --json              a list of {run_id, run_name, experiment, status, start_time and end_time (ms since 1970), duration
                      (seconds), metrics, params, tags, ...}
  --color, --no-color   in a terminal it is coloured, unless NO_COLOR is set
In a terminal columns are left out that do not fit; elsewhere nothing is cut. Nothing is written into the store.
Exit codes: 0 shown, 1 the store cannot be read, 2 wrong command line.]]

usage.show = [[
trainhost show RUN   all that there is of a run

Its params, metrics (last, least and greatest value with their steps, their course), tags, inputs, models, artifacts and errors.
]] .. RUN .. [[

  --json          as `trainhost runs --json` has it
  --color, --no-color   in a terminal it is coloured, unless NO_COLOR is set
Exit codes: 0 shown, 1 the store cannot be read, 2 wrong command line.]]

usage.compare = [[
trainhost compare RUN RUN ...   in what runs differ, their metrics side by side, which is best

The latest value of each metric; the best of them has a * where the metric's name tells what is better.
]] .. RUN .. [[

  --metric NAME   only this metric (several times)
  --all           params that are the same and system metrics too
  --color, --no-color   in a terminal it is coloured, unless NO_COLOR is set
Exit codes: 0 shown, 1 the store cannot be read, 2 wrong command line.]]

usage.tail = [[
trainhost tail [-f] RUN   the metrics that a run has logged last, a line for each step

]] .. RUN .. [[

  -f              goes on with what is logged until the run ends
  -n N            so many steps of what is there: 10
  --metric NAME   only this metric (several times)
  --all           system metrics too
  --color, --no-color   in a terminal it is coloured, unless NO_COLOR is set
Exit codes: 0 shown, or the run has ended, 1 the store cannot be read, 2 wrong command line, 130 interrupted.]]

usage.plot = [[
trainhost plot RUN|FILE ... [METRIC ...] [options]   draws what runs have logged

  RUN               an id, the beginning of one, a name, or last, in the store mlflow.db of this folder
  FILE              of train.CSVLogger: .csv or .jsonl
  METRIC            loss val_loss ...; all that there are without one
  --run RUN, --metric METRIC   the same, where a word could be both
  --uri URI, --store URI       another mlflow.db by its path or tracking URI, or a server; also MLFLOW_TRACKING_URI
  --out FILE        draws into FILE.svg or FILE.png
  --log             a logarithmic y axis
  --together        all curves in one panel
  --title TEXT
  --width N, --height N        in characters, of a file in points; the terminal's
  --ascii           plain characters; also where the locale is not UTF-8
  --color, --no-color          in a terminal it is coloured, unless NO_COLOR is set
Exit codes: 0 drawn, 1 a file cannot be read or written, 2 wrong command line.]]

usage.new = [[
trainhost new FOLDER   makes a small project to start from

Writes train.lua, .luarc.json, .gitignore and the editor's stubs. A folder that holds something already is left as it is.
Exit codes: 0 made, 1 it cannot be, 2 wrong command line.]]

usage.stubs = [[
trainhost stubs FOLDER   writes the editor's stubs of everything (LuaCATS), for lua-language-server

Exit codes: 0 written, 1 a file cannot be, 2 wrong command line.]]

---Shows a verb's usage where the command line asks for it.
---@param verb string
---@param words string[] what follows the verb
---@return boolean
function usage.asked(verb, words)
  for _, word in ipairs(words) do
    if word == "--" then return false end
    if word == "--help" or word == "-h" then
      print(usage[verb])
      return true
    end
  end
  return false
end

---Says what is wrong in a command line.
---@param verb string
---@param text string
---@return integer code
function usage.wrong(verb, text)
  io.stderr:write(("trainhost %s: %s (trainhost %s --help shows the usage)\n"):format(verb, text, verb))
  return 2
end

return usage
