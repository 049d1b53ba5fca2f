using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Tests.JobFiles;

public sealed class JobSpecValidatorTests
{
    [Fact]
    public void Complete_OfASpecWithOnlyNames_GivesTheSameAsAFileThatSaysAsMuch()
    {
        var received = Received();

        // The data message is present, so its number of validation samples is the zero that it says.
        JobSpecValidator.Complete(received).ShouldBe(JobFile.Parse("model: lenet5\ndata: { name: fashion-mnist, validationSamples: 0 }"));
        received.ShouldBe(Received(), "the caller's message stays as it was");
    }

    [Fact]
    public void Complete_OfAPresentMessage_TakesItsZerosAsTheyStand()
    {
        var received = Received();
        received.Resources = new ResourceSpec();

        Should.Throw<JobFileException>(() => JobSpecValidator.Complete(received)).Message
            .ShouldBe("resources.devices is 0 but must be a whole number from 1 to 65536; use 1 or more");
    }

    [Fact]
    public void Complete_OfAPresentMessage_FillsItsEmptyNamesAndUnspecifiedEnums()
    {
        var received = Received();
        received.Resources = new ResourceSpec { Devices = 2 };
        received.Hyperparameters = new Hyperparameters
        {
            Epochs = 1,
            GlobalBatchSize = 8,
            Optimizer = new OptimizerSpec { LearningRate = 0.1 },
        };

        var complete = JobSpecValidator.Complete(received);

        complete.Resources.DeviceKind.ShouldBe(DeviceKind.Any);
        complete.Hyperparameters.Precision.ShouldBe(Precision.Float32);
        complete.Hyperparameters.Optimizer.ShouldBe(new OptimizerSpec { Name = "sgd", LearningRate = 0.1 });
    }

    [Fact]
    public void Complete_OfACompleteSpec_ChangesNothing()
    {
        var complete = JobFile.Parse(
            "model: { name: alexnet, options: { width: 0.5 } }\ndata: mnist\nparallelism: model\nresources: { devices: 2 }");

        JobSpecValidator.Complete(complete).ShouldBe(complete);
    }

    [Fact]
    public void Complete_OfAnUnknownEnumNumber_RefusesIt()
    {
        var received = Received();
        received.Parallelism = (Parallelism)17;

        Should.Throw<JobFileException>(() => JobSpecValidator.Complete(received)).Message
            .ShouldBe("parallelism is 17 but must be data, model, hybrid or pipeline; use data, model, hybrid or pipeline");
    }

    [Theory]
    [InlineData(double.NaN, "NaN")]
    [InlineData(double.PositiveInfinity, "Infinity")]
    public void Complete_OfANumberThatIsNone_RefusesIt(double rate, string shown)
    {
        var received = Received();
        received.Hyperparameters = new Hyperparameters
        {
            Epochs = 1,
            GlobalBatchSize = 1,
            Optimizer = new OptimizerSpec { LearningRate = rate },
        };

        Should.Throw<JobFileException>(() => JobSpecValidator.Complete(received)).Message
            .ShouldBe($"hyperparameters.optimizer.learningRate is {shown} but must be more than 0 and at most 100; "
                + "use a positive number such as 0.01");
    }

    [Fact]
    public void Complete_OfAnOptionWithoutAValue_RefusesIt()
    {
        var received = Received();
        received.Model.Options["init"] = new OptionValue();

        Should.Throw<JobFileException>(() => JobSpecValidator.Complete(received)).Message
            .ShouldBe("model.options.init is empty but must be paper or he; use paper or leave it out");
    }

    [Fact]
    public void Complete_OfTooManyLabels_RefusesThem()
    {
        var received = Received();
        foreach (var i in Enumerable.Range(0, 33))
            received.Labels[$"label{i}"] = "x";

        Should.Throw<JobFileException>(() => JobSpecValidator.Complete(received)).Message
            .ShouldBe("labels is 33 labels but must be at most 32; remove some");
    }

    [Fact]
    public void Complete_OfALabelOverSeveralLines_RefusesIt()
    {
        var received = Received();
        received.Labels["team"] = "a\nb";

        Should.Throw<JobFileException>(() => JobSpecValidator.Complete(received)).Message
            .ShouldBe("labels.team is a b but must be at most 63 characters on one line; shorten it");
    }

    [Fact]
    public void Complete_OfNothing_NamesWhatIsMissing()
    {
        Should.Throw<JobFileException>(() => JobSpecValidator.Complete(new JobSpec())).Violations.Select(violation => violation.Field)
            .ShouldBe(["model", "data"]);
    }

    private static JobSpec Received() =>
        new() { Model = new ModelSpec { Name = "lenet5" }, Data = new DataSpec { Name = "fashion-mnist" } };
}
