using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;

namespace Cluster.Contracts.Tests.JobFiles;

/// <summary>Every kind of mistake with the exact line that a person reads.</summary>
public sealed class JobFileFaultTests
{
    private const string Sound = "model: lenet5\ndata: fashion-mnist\n";

    [Theory]
    [InlineData("", "line 1: job file is empty; write at least a model and data")]
    [InlineData("# nothing\n", "line 1: job file is empty; write at least a model and data")]
    [InlineData("model: [lenet5\n", "line 2: job file is not YAML: while parsing a flow sequence, did not find expected ',' or ']'; "
        + "check the indentation, colons and quotes there")]
    [InlineData("- : data\n", "line 2: job file is not YAML: a key or a value is missing; check the indentation, colons and quotes there")]
    [InlineData("- [---\nx{", "line 1: job file is not YAML; check the indentation, colons and quotes there")]
    [InlineData("just words",
        "line 1: job file is just words but must be a mapping of keys to values; begin with a line such as \"model: lenet5\"")]
    [InlineData("- model: lenet5",
        "line 1: job file is a list but must be a mapping of keys to values; begin with a line such as \"model: lenet5\"")]
    [InlineData(Sound + "---\n" + Sound, "line 3: job file holds a second document; submit one file a job")]
    [InlineData(Sound + "seed: 1\nseed: 2\n", "line 4: seed is given twice; keep one of the two")]
    [InlineData("model: &m lenet5\ndata: *m\n", "line 1: model is &m but anchors are not allowed in a job file; remove the anchor")]
    [InlineData("model: lenet5\ndata: *m\n", "line 2: data is *m but aliases are not allowed in a job file; write the value out")]
    [InlineData(
        "model: !!binary abcd\n", "line 1: model is tag:yaml.org,2002:binary but tags are not allowed in a job file; remove the tag")]
    [InlineData("? [a, b]\n: c\n", "line 1: job file is a list but a key must be a word; write keys as plain words")]
    [InlineData("model: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", "line 1: model is nested more than 16 levels deep; flatten it")]
    public void Parse_OfTheWrongForm_SaysSo(string yaml, string message) => Refused(yaml, message);

    [Theory]
    [InlineData("hyperparamters: {}", "hyperparamters is a mapping but no such key exists; did you mean hyperparameters?")]
    [InlineData("hyperparameters: { epoch: 3 }", "hyperparameters.epoch is 3 but no such key exists; did you mean hyperparameters.epochs?")]
    [InlineData("hyperparameters: { global_batch_size: 3 }",
        "hyperparameters.global_batch_size is 3 but no such key exists; did you mean hyperparameters.globalBatchSize?")]
    [InlineData("learningRate: 3", "learningRate is 3 but no such key exists; did you mean hyperparameters.optimizer.learningRate?")]
    [InlineData(
        "restarts: { zzz: 3 }",
        "restarts.zzz is 3 but no such key exists; the keys here are maxRestarts, initialBackoff, maxBackoff, moveStragglers")]
    public void Parse_OfAnUnknownKey_SuggestsTheNearest(string third, string message) => Refused(Sound + third, "line 3: " + message);

    [Theory]
    [InlineData("after: [0f3c, my-job]",
        "after[2].job is my-job but must be a job's id or its first 4 or more hexadecimal digits; copy it from ./cluster job list")]
    [InlineData("after: [{ job: 0f3c, state: failed }]", "after[1].state is failed but must be succeeded or ended; use succeeded or ended")]
    [InlineData("after: [{ state: ended }]", "after[1].job is missing; copy it from ./cluster job list")]
    [InlineData("after: [{ job: [0f3c] }]",
        "after[1].job is a list but must be a job's id or its first 4 or more hexadecimal digits; copy it from ./cluster job list")]
    [InlineData("after: [{ job: 0f3c, until: ended }]", "after[1].until is ended but no such key exists; the keys here are job, state")]
    [InlineData("failurePolicies: [{ pattern: '(a', action: excludeNode }]",
        "failurePolicies[1].pattern is (a but must be a regular expression of at most 200 characters without back references and looking "
            + "around; write it as CUDA error|ECC")]
    [InlineData("failurePolicies: [{ pattern: '(a)\\1', action: excludeNode }]",
        "failurePolicies[1].pattern is (a)\\1 but must be a regular expression of at most 200 characters without back references and "
            + "looking around; write it as CUDA error|ECC")]
    [InlineData("failurePolicies: nan", "failurePolicies[1].action is missing; use excludeNode or stopRetrying")]
    [InlineData("after: [[0f3c]]", "after[1] is a list but must be a mapping; its keys are job, state")]
    public void Parse_OfAWrongEntry_NamesItByItsNumber(string third, string message) => Refused(Sound + third, "line 3: " + message);

    [Theory]
    [InlineData("hyperparameters: { epochs: ten }",
        "hyperparameters.epochs is ten but must be a whole number from 1 to 100000; write a number such as 10")]
    [InlineData("hyperparameters: { epochs: 2.5 }",
        "hyperparameters.epochs is 2.5 but must be a whole number from 1 to 100000; write a number such as 10")]
    [InlineData("hyperparameters: { epochs: '2' }",
        "hyperparameters.epochs is \"2\" but must be a whole number from 1 to 100000; remove the quotes")]
    [InlineData("hyperparameters: { epochs: [2] }",
        "hyperparameters.epochs is a list but must be a whole number from 1 to 100000; write a number such as 10")]
    [InlineData("hyperparameters: { epochs: }", "hyperparameters.epochs is empty; give it a value or leave the key out")]
    [InlineData("hyperparameters: { epochs: 99999999999 }",
        "hyperparameters.epochs is 99999999999 but must be a whole number from 1 to 100000; write a number such as 10")]
    [InlineData("hyperparameters: 3", "hyperparameters is 3 but must be a mapping; indent its keys under it: "
        + "epochs, maxSteps, globalBatchSize, optimizer, schedule, labelSmoothing, precision, clipNorm, accumulationSteps, averageDecay, "
        + "syncBatchNorm, shardOptimizer, microBatches, memoryFormat, deterministic")]
    [InlineData("hyperparameters: { shardOptimizer: true }\nparallelism: model",
        "hyperparameters.shardOptimizer is true but belongs to parallelism data only; remove it")]
    [InlineData("hyperparameters: { syncBatchNorm: true }",
        "hyperparameters.syncBatchNorm is true but belongs to models with batch normalisation only; remove it")]
    [InlineData("hyperparameters: { labelSmoothing: .inf }",
        "hyperparameters.labelSmoothing is .inf but must be at least 0 and less than 1; use a number such as 0.1, or 0 for none")]
    [InlineData("hyperparameters: { memoryFormat: nhwc }",
        "hyperparameters.memoryFormat is nhwc but must be auto or contiguous or channelsLast; use auto or contiguous or channelsLast")]
    [InlineData("hyperparameters: { precision: float16 }",
        "hyperparameters.precision is float16 but must be float32, tf32, float64 or bfloat16; use float32, tf32, float64 or bfloat16")]
    [InlineData(
        "hyperparameters: { optimizer: [sgd] }", "hyperparameters.optimizer is a list but must be a mapping; indent its keys under it: "
            + "name, learningRate, momentum, weightDecay, nesterov, beta1, beta2, epsilon, decay, trustCoefficient")]
    [InlineData(
        "parallelism: both", "parallelism is both but must be data, model, hybrid or pipeline; use data, model, hybrid or pipeline")]
    [InlineData("resources: { deviceKind: gpu }", "resources.deviceKind is gpu but must be cpu, cuda or any; use cpu, cuda or any")]
    [InlineData("checkpoints: { keepBest: yes }", "checkpoints.keepBest is yes but must be true or false; use true or false")]
    [InlineData("restarts: { initialBackoff: 5 }",
        "restarts.initialBackoff is 5 but must be a duration from 0s to 24h; write it as 2s, 500ms or 1m30s")]
    [InlineData("seed: -1", "seed is -1 but must be a whole number of at most 64 bits and not negative; write a number such as 1")]
    [InlineData("labels: vision", "labels is vision but must be a mapping; indent lines such as \"team: vision\" under it")]
    [InlineData("labels: { team: [a] }", "labels.team is a list but must be a single value; write it as one word")]
    public void Parse_OfTheWrongType_SaysWhichIsRight(string third, string message) => Refused(Sound + third, "line 3: " + message);

    [Theory]
    [InlineData("resources: { devices: 0 }", "resources.devices is 0 but must be a whole number from 1 to 65536; use 1 or more")]
    [InlineData("priority: 1001", "priority is 1001 but must be a whole number from -1000 to 1000; use 1000 or less")]
    [InlineData("hyperparameters: { optimizer: { learningRate: -0.1 } }",
        "hyperparameters.optimizer.learningRate is -0.1 but must be more than 0 and at most 100; use a positive number such as 0.01")]
    [InlineData("hyperparameters: { optimizer: { momentum: 1 } }",
        "hyperparameters.optimizer.momentum is 1 but must be at least 0 and less than 1; use a number such as 0.9")]
    [InlineData("hyperparameters: { optimizer: { weightDecay: -1 } }",
        "hyperparameters.optimizer.weightDecay is -1 but must be at least 0 and at most 1; "
            + "use a small number such as 0.0005, or 0 for none")]
    [InlineData("maxRuntime: 9000h", "maxRuntime is 9000h but must be a duration from 0s to 8760h; write it as 2s, 500ms or 1m30s")]
    [InlineData("restarts: { maxBackoff: 25h }",
        "restarts.maxBackoff is 25h but must be a duration from 0s to 24h; write it as 2s, 500ms or 1m30s")]
    [InlineData(
        "name: my job", "name is \"my job\" but must be 1 to 63 letters, digits, \".\", \"_\" or \"-\", the first a letter or digit; "
            + "use a name such as lenet5-baseline")]
    [InlineData("labels: { a b: c }", "labels.a b is c but its key must be 1 to 63 letters, digits, \".\", \"_\", \"/\" or \"-\", "
        + "the first a letter or digit; rename the label")]
    [InlineData("hyperparameters: { optimizer: addam }",
        "hyperparameters.optimizer is addam but no optimizer of that name is known; did you mean adam?")]
    [InlineData("hyperparameters: { optimizer: { name: lion, momentum: 0.5 } }",
        "hyperparameters.optimizer.name is lion but no optimizer of that name is known; "
            + "the known ones are sgd, adam, adamw, rmsprop, lars")]
    [InlineData("hyperparameters: { schedule: cosin }",
        "hyperparameters.schedule is cosin but no schedule of that name is known; did you mean cosine?")]
    [InlineData("hyperparameters: { optimizer: { name: adam, momentum: 0.5 } }",
        "hyperparameters.optimizer.momentum is 0.5 but belongs to optimizer sgd or rmsprop or lars only; remove it")]
    [InlineData("hyperparameters: { optimizer: { beta1: 0.5 } }",
        "hyperparameters.optimizer.beta1 is 0.5 but belongs to optimizer adam or adamw only; remove it")]
    [InlineData("hyperparameters: { schedule: { name: cosine, gamma: 0.5 } }",
        "hyperparameters.schedule.gamma is 0.5 but belongs to schedule step or plateau only; remove it")]
    [InlineData("hyperparameters: { optimizer: { name: sgd, decay: 0.5 } }",
        "hyperparameters.optimizer.decay is 0.5 but belongs to optimizer rmsprop only; remove it")]
    [InlineData("hyperparameters: { optimizer: { trustCoefficient: 0.5 } }",
        "hyperparameters.optimizer.trustCoefficient is 0.5 but belongs to optimizer lars only; remove it")]
    [InlineData("hyperparameters: { schedule: { patienceEpochs: 3 } }",
        "hyperparameters.schedule.patienceEpochs is 3 but belongs to schedule plateau only; remove it")]
    [InlineData("hyperparameters: { averageDecay: 1 }",
        "hyperparameters.averageDecay is 1 but must be at least 0 and less than 1; use a number such as 0.9999, or 0 for none")]
    [InlineData("hyperparameters: { clipNorm: -1 }",
        "hyperparameters.clipNorm is -1 but must be at least 0 and at most 1000000; use a norm such as 1, or 0 for no limit")]
    public void Parse_OfTheWrongValue_SaysWhichAreAllowed(string third, string message) => Refused(Sound + third, "line 3: " + message);

    [Theory]
    [InlineData("data: fashion-mnist", "line 1: model is missing; name one of {models}")]
    [InlineData("model: lenet5",
        "line 1: data is missing; name one of fashion-mnist, mnist, cifar-10, cifar-100, synthetic, image-folder, tar-shards, raw-shards")]
    [InlineData("model: lenet6\ndata: mnist", "line 1: model is lenet6 but no model of that name is known; did you mean lenet5?")]
    [InlineData(
        "model: { name: LeNet-5 }\ndata: mnist", "line 1: model.name is LeNet-5 but no model of that name is known; did you mean lenet5?")]
    [InlineData(
        "model: transformer\ndata: mnist", "line 1: model is transformer but no model of that name is known; the known ones are {models}")]
    [InlineData("model: lenet5\ndata: fashion_mnist",
        "line 2: data is fashion_mnist but no data set of that name is known; did you mean fashion-mnist?")]
    public void Parse_OfAnUnknownModelOrDataSet_SuggestsTheNearest(string yaml, string message) =>
        Refused(
            yaml, message.Replace("{models}", string.Join(", ", ModelCatalog.All.Select(model => model.Name)), StringComparison.Ordinal));

    [Theory]
    [InlineData(
        "lenet5, options: { activaton: relu }", "model.options.activaton is relu but lenet5 has no such option; did you mean activation?")]
    [InlineData("lenet5, options: { width: 0.5 }",
        "model.options.width is 0.5 but lenet5 has no such option; its options are classes, channels, inputSize, activation, init")]
    [InlineData("lenet5, options: { activation: rellu }", "model.options.activation is rellu but must be relu or tanh; did you mean relu?")]
    [InlineData("lenet5, options: he", "model.options is he but must be a mapping; indent the model's options under it")]
    [InlineData("lenet5, options: { init: }", "model.options.init is empty but must be a single value; give it a value or leave it out")]
    [InlineData("alexnet, options: { lrn: 1 }", "model.options.lrn is 1 but must be true or false; use true or leave it out")]
    [InlineData("alexnet, options: { width: 0 }", "model.options.width is 0 but must be more than 0 and at most 1; use 1 or leave it out")]
    [InlineData("alexnet, options: { inputSize: 100 }",
        "model.options.inputSize is 100 but must be 224 or 28 to 64; leave it out to take it from the data")]
    [InlineData("lenet5, options: { inputSize: 32 }",
        "model.options.inputSize is 32 but mnist has pictures of 28×28; leave it out to take it from the data")]
    [InlineData("lenet5, options: { channels: 3 }", "model.options.channels is 3 but mnist has 1; leave it out to take it from the data")]
    [InlineData(
        "lenet5, options: { classes: 9 }", "model.options.classes is 9 but mnist has 10 classes; leave it out to take it from the data")]
    public void Parse_OfAWrongOption_SaysWhichAreAllowed(string model, string message) =>
        Refused($"model: {{ name: {model} }}\ndata: mnist", "line 1: " + message);

    [Theory]
    [InlineData("model: lenet5\ndata: { name: synthetic, validationSamples: 6000 }",
        "line 2: data.validationSamples is 6000 but synthetic has 6000 training samples in all; use less than 6000")]
    [InlineData("model: lenet5\ndata: { name: synthetic, trainSamples: 5501 }",
        "line 2: data.trainSamples is 5501 but 5500 of 6000 are left beside 500 for validation; "
            + "use 5500 or less, or 0 for all that are left")]
    [InlineData("model: lenet5\ndata: { name: synthetic, trainSamples: 100 }",
        "line 1: hyperparameters.globalBatchSize is 128 but there are only 100 training samples; use 100 or less")]
    [InlineData("model: lenet5\ndata: { name: mnist, validationSamples: 0 }\ncheckpoints: { keepBest: true }",
        "line 3: checkpoints.keepBest is true but the best is chosen on validation and data.validationSamples is 0; "
        + "set keepBest to false or set validation samples aside")]
    [InlineData(Sound + "resources: { devices: 4 }\nhyperparameters: { globalBatchSize: 3 }",
        "line 4: hyperparameters.globalBatchSize is 3 but resources.devices is 4 and each device needs a sample; "
            + "use at least 4 or lower the devices")]
    [InlineData(Sound + "parallelism: model",
        "line 3: parallelism is model but lenet5 defines no split into channel groups; use data, or a model such as alexnet")]
    [InlineData("model: alexnet\ndata: mnist\nparallelism: model\nresources: { devices: 3 }",
        "line 4: resources.devices is 3 but parallelism is model and alexnet splits into 2 channel groups; use 2")]
    [InlineData("model: { name: alexnet, options: { classes: 11 } }\ndata: mnist\nparallelism: model\nresources: { devices: 2 }",
        "line 1: model.options.classes is 11 but parallelism is model and each of 2 devices computes an equal share of the "
            + "classes; use a multiple of 2")]
    [InlineData(Sound + "mesh: { data: 2, model: 2 }",
        "line 1: parallelism is model but lenet5 defines no split into channel groups; use data, or a model such as alexnet")]
    [InlineData("model: alexnet\ndata: mnist\nresources: { devices: 6 }\nmesh: { data: 2, model: 2 }",
        "line 3: resources.devices is 6 but the mesh has 2 × 2 × 1 (mesh.data × mesh.model × mesh.pipeline); "
            + "make their product the devices, or leave one of the four out")]
    [InlineData("model: alexnet\ndata: mnist\nmesh: { data: 2, model: 3 }",
        "line 3: mesh.model is 3 but parallelism is model and alexnet splits into 2 channel groups; use 2")]
    [InlineData("model: googlenet\ndata: mnist\nparallelism: pipeline\nresources: { devices: 2 }",
        "line 3: parallelism is pipeline but googlenet is no sequence that could be cut into stages, since its layers branch; "
            + "use data, or a model such as lenet5 or alexnet or lenet5_1998")]
    [InlineData(Sound + "parallelism: pipeline",
        "line 1: resources.devices is 1 but parallelism is pipeline, which takes several devices; use 2 or more, or parallelism data")]
    [InlineData(Sound + "parallelism: pipeline\nresources: { devices: 6 }",
        "line 4: resources.devices is 6 but parallelism is pipeline and lenet5 has 5 units to make stages of; "
            + "use 5 or less, or a mesh with a data axis")]
    [InlineData(Sound + "mesh: { data: 2, pipeline: 6 }",
        "line 3: mesh.pipeline is 6 but parallelism is pipeline and lenet5 has 5 units to make stages of; "
            + "use 5 or less, or a mesh with a data axis")]
    [InlineData(Sound + "parallelism: pipeline\nmesh: { pipeline: 2 }\nhyperparameters: { accumulationSteps: 2 }",
        "line 5: hyperparameters.accumulationSteps is 2 but parallelism is pipeline, whose micro-batches accumulate gradients already; "
            + "leave it out and raise hyperparameters.microBatches")]
    [InlineData(Sound + "mesh: { data: 2, pipeline: 2 }\nhyperparameters: { microBatches: 33, globalBatchSize: 65 }",
        "line 4: hyperparameters.microBatches is 33 but a pipeline has 32 samples of a global batch and each micro-batch "
            + "needs one; use 32 or less")]
    [InlineData(Sound + "hyperparameters: { microBatches: 2 }",
        "line 3: hyperparameters.microBatches is 2 but belongs to parallelism pipeline only; remove it")]
    [InlineData(Sound + "mesh: { model: 2, pipeline: 2 }",
        "line 3: mesh.model is 2 but parallelism is pipeline, whose stages are not divided further; "
            + "use 1 and more of mesh.data or mesh.pipeline")]
    [InlineData("model: alexnet\ndata: mnist\nparallelism: model\nmesh: { model: 2, pipeline: 2 }",
        "line 4: mesh.pipeline is 2 but parallelism is model, whose parts are shares of layers and no stages; "
            + "use parallelism pipeline, or leave parallelism out")]
    [InlineData(Sound + "parallelism: data\nmesh: { pipeline: 2 }",
        "line 4: mesh.pipeline is 2 but parallelism is data, which divides no network; use parallelism pipeline, or leave parallelism out")]
    [InlineData(Sound + "parallelism: hybrid\nmesh: { pipeline: 2 }",
        "line 4: mesh.pipeline is 2 but belongs to parallelism data, model or pipeline only; remove it")]
    [InlineData(Sound + "mesh: { pipeline: 2 }\nhyperparameters: { shardOptimizer: true }",
        "line 4: hyperparameters.shardOptimizer is true but belongs to parallelism data only; remove it")]
    [InlineData("model: vgg11\ndata: mnist\nparallelism: data\nmesh: { model: 2 }",
        "line 4: mesh.model is 2 but parallelism is data, which divides no network; use parallelism model, or leave parallelism out")]
    [InlineData("model: vgg11_bn\ndata: mnist\nparallelism: model\nresources: { devices: 2 }",
        "line 3: parallelism is model but vgg11_bn defines no split into channel groups; use data, or a model such as alexnet")]
    [InlineData("model: vgg11\ndata: mnist\nparallelism: hybrid\nresources: { devices: 3 }",
        "line 4: resources.devices is 3 but parallelism is hybrid and a layer of vgg11 has 4096 channels or units, "
            + "which they cannot share evenly; "
        + "use a number of devices that divides it, or change the width")]
    [InlineData("model: vgg11\ndata: mnist\nparallelism: hybrid\nresources: { devices: 4 }",
        "line 1: model.options.classes is 10 but parallelism is hybrid and each of 4 devices computes an equal share of the "
            + "classes; use a multiple of 4")]
    [InlineData("model: vgg11\ndata: mnist\nparallelism: hybrid",
        "line 1: resources.devices is 1 but parallelism is hybrid, which takes several devices; use 2 or more, or parallelism data")]
    [InlineData("model: vgg11\ndata: mnist\nparallelism: hybrid\nresources: { devices: 2 }\nhyperparameters: { accumulationSteps: 2 }",
        "line 5: hyperparameters.accumulationSteps is 2 but parallelism is hybrid, whose fully connected layers see the whole batch at "
            + "once; leave it out, or use parallelism data")]
    [InlineData(Sound + "hyperparameters: { epochs: 2, schedule: { warmupEpochs: 3 } }",
        "line 3: hyperparameters.schedule.warmupEpochs is 3 but hyperparameters.epochs is 2; use 2 or less")]
    [InlineData(Sound + "hyperparameters: { optimizer: { momentum: 0 }, shardOptimizer: true }",
        "line 3: hyperparameters.shardOptimizer is true but optimizer sgd keeps no state while hyperparameters.optimizer.momentum is 0; "
            + "set a momentum such as 0.9 or leave shardOptimizer out")]
    [InlineData(Sound + "hyperparameters: { optimizer: { momentum: 0, nesterov: true } }",
        "line 3: hyperparameters.optimizer.nesterov is true but hyperparameters.optimizer.momentum is 0; "
            + "set a momentum such as 0.9 or leave nesterov out")]
    [InlineData("model: alexnet\ndata: mnist\nparallelism: model\nresources: { devices: 2 }\nhyperparameters: { precision: bfloat16 }",
        "line 5: hyperparameters.precision is bfloat16 but parallelism is model, which splits the network, "
            + "and its parts exchange float32 and float64 only; "
        + "use float32, or parallelism data")]
    [InlineData(Sound + "resources: { deviceKind: cpu }\nhyperparameters: { precision: tf32 }",
        "line 4: hyperparameters.precision is tf32 but resources.deviceKind is cpu, and only GPUs have TF32; "
            + "use float32, or deviceKind cuda")]
    [InlineData("model: alexnet\ndata: mnist\nparallelism: model\nresources: { devices: 2 }\nhyperparameters: { optimizer: lars }",
        "line 5: hyperparameters.optimizer is lars but parallelism splits layers and lars measures whole tensors, "
            + "of which each device would hold a part; "
        + "use another optimizer, or parallelism data or pipeline")]
    [InlineData("model: lenet5\ndata: { name: mnist, validationSamples: 0 }\nhyperparameters: { schedule: plateau }",
        "line 3: hyperparameters.schedule is plateau but a plateau is one of the validation loss and data.validationSamples is 0; "
        + "set validation samples aside or use another schedule")]
    [InlineData(Sound + "resources: { devices: 4 }\nhyperparameters: { globalBatchSize: 30, accumulationSteps: 8 }",
        "line 4: hyperparameters.accumulationSteps is 8 but a device has 7 samples of a global batch; use 7 or less")]
    [InlineData(
        Sound + "restarts: { initialBackoff: 2m }", "line 3: restarts.maxBackoff is 1m but restarts.initialBackoff is 2m; use 2m or more")]
    [InlineData(Sound + "maxRuntime: 1h\nminRuntime: 2h", "line 4: minRuntime is 2h but maxRuntime is 1h; use 1h or less")]
    public void Parse_OfFieldsThatDoNotGoTogether_NamesBoth(string yaml, string message) => Refused(yaml, message);

    private static void Refused(string yaml, string message) =>
        Should.Throw<JobFileException>(() => JobFile.Parse(yaml)).Message.ShouldBe(message);
}
