using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Parquet;

namespace Cluster.Cli.Tests.Runs;

public sealed class RunVerbsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cluster-cli-tests-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task RunList_AsksTheSchedulerForTheConditionAndTheOrder_PageByPage()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Runs.Runs.Add([ARun(0), ARun(1), ARun(2)]);
        cluster.PageSize = 2;
        var run = new CliRun(cluster);

        (await run.RunAsync(
            Cancellation, "run", "list", "--where", "lr > 0.01 and model = 'alexnet'", "--sort", "accuracy", "--limit", "7", "--csv"))
            .ShouldBe(ExitCode.Done, run.Error);

        cluster.ListedRuns.Select(request => (request.Where, request.Sort, request.PageSize, request.PageToken)).ShouldBe(
            [("lr > 0.01 and model = 'alexnet'", "accuracy", 7, ""), ("lr > 0.01 and model = 'alexnet'", "accuracy", 5, "2")]);
        run.Out.Split('\n').ShouldBe([
            "RUN,NAME,MODEL,DATA,SPLIT,BATCH,OPTIMIZER,RATE,EPOCHS,STATE,LOSS,VALIDATION,TEST,IMAGES/S,TIME",
            .. Enumerable.Range(0, 3).Select(index => $"0f3c9a1{index},\"one, or two\",lenet5,fashion-mnist,data×1,128,sgd,0.1,5/5,"
                + "succeeded,0.4313,86.0 %,89.3 %,\"8,512\",1m 10s"),
            "",
        ]);
    }

    [Fact]
    public async Task RunCompare_ShowsWhatDiffers_AndTheCurvesOverEachOther()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Get = request => new GetJobResponse
        {
            Job = Builders.AFinishedJob(testAccuracy: request.JobId == "0f3c9a10" ? 0.9 : 0.8).With(job =>
            {
                job.Id = request.JobId + Builders.JobId[8..];
                job.Spec = JobFile.Parse($$"""
                    model: lenet5
                    data: fashion-mnist
                    hyperparameters: {optimizer: {name: sgd, learningRate: {{(request.JobId == "0f3c9a10" ? "0.1" : "0.01")}} } }
                    """);
            }),
        };
        cluster.PointsOf = job => Enumerable.Range(0, 50).Select(step => new MetricPoint
        {
            Name = MetricNames.TrainLoss,
            Step = step,
            Time = Builders.At(step),
            Value = step == 25 ? double.NaN : job.StartsWith("0f3c9a10", StringComparison.Ordinal) ? 1 - (step / 100.0) : 1 - (step / 50.0),
        });
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "run", "compare", "0f3c9a10", "0f3c9a11", "--series", "train/loss"))
            .ShouldBe(ExitCode.Done, run.Error);

        var lines = run.Out.Split('\n').Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))).ToList();
        lines.ShouldContain("WHAT A B");
        lines.ShouldContain("run 0f3c9a10 0f3c9a11");
        lines.ShouldContain("hyperparameters.optimizer.learningRate 0.1 0.01");
        lines.ShouldContain("test accuracy 90.0 % 80.0 %");
        lines.ShouldNotContain(line => line.StartsWith("hyperparameters.epochs", StringComparison.Ordinal), "it is the same in both");
        var plot = run.Out[run.Out.IndexOf("train/loss by step", StringComparison.Ordinal)..].Split('\n');
        // Both begin at 1; A's ends half way down, B's at the bottom right.
        plot[1].ShouldStartWith("     1 │*");
        plot[12].ShouldEndWith("B");
        plot[12].ShouldNotContain("A");
        plot.ShouldContain(line => line.EndsWith('A'));
    }

    [Fact]
    public async Task RunCompare_AsJson_PrintsAJobALine()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "run", "compare", "0f3c", "0f3d", "--json")).ShouldBe(ExitCode.Done, run.Error);

        run.Out.TrimEnd().Split('\n').Select(JsonParser.Default.Parse<Job>).ShouldBe([Builders.AJob(), Builders.AJob()]);
    }

    [Fact]
    public async Task RunExport_WritesEachRunWithItsSettingsAndFiguresUnrounded()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Runs.Runs.Add([ARun(0), ARun(1, run => run.Progress = null)]);
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "run", "export", "--where", "epochs > 1")).ShouldBe(ExitCode.Done, run.Error);

        cluster.ListedRuns.ShouldHaveSingleItem().Where.ShouldBe("epochs > 1");
        var lines = run.Out.TrimEnd().Split('\n');
        var names = lines[0].Split(',');
        lines.Length.ShouldBe(3);
        Cell(1, "run").ShouldBe("0f3c9a10-77e2-4c01-9d8e-0123456789ab");
        Cell(1, "name").ShouldBe("\"one");
        lines[1].ShouldContain(",\"one, or two\",");
        names.ShouldContain("hyperparameters.optimizer.learningRate");
        names.ShouldContain("hyperparameters.optimizer.nesterov");
        names.ShouldNotContain("resources.devices");
        lines[1].ShouldEndWith(",5,2150,0.43125,,,0.8604,,0.8931,8512.4");
        lines[2].ShouldEndWith(",,,,,,,,,");

        string Cell(int line, string name) => lines[line].Split(',')[Array.IndexOf(names, name)];
    }

    [Fact]
    public async Task RunExport_WritesAllRunsThatMatch_UnlessALimitIsGiven_AndAListSaysThatThereAreMore()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Runs.Runs.Add(Enumerable.Range(0, 150).Select(index => ARun(index)));
        var (all, some, list, wholeList) = (new CliRun(cluster), new CliRun(cluster), new CliRun(cluster), new CliRun(cluster));
        const string more = "there are more than these; --limit N shows up to N\n";

        (await all.RunAsync(Cancellation, "run", "export")).ShouldBe(ExitCode.Done, all.Error);
        (await some.RunAsync(Cancellation, "run", "export", "--limit", "7")).ShouldBe(ExitCode.Done, some.Error);
        (await list.RunAsync(Cancellation, "run", "list", "--csv")).ShouldBe(ExitCode.Done, list.Error);
        (await wholeList.RunAsync(Cancellation, "run", "list", "--csv", "--limit", "150")).ShouldBe(ExitCode.Done, wholeList.Error);
        (await new CliRun(cluster).RunAsync(Cancellation, "run", "tensorboard", "-o", _folder.FullName)).ShouldBe(ExitCode.Done);

        new[] { all, some, list, wholeList }.Select(run => run.Out.TrimEnd().Split('\n').Length - 1).ShouldBe([150, 7, 100, 150]);
        new[] { all, some, list, wholeList }.Select(run => run.Error).ShouldBe(["", "", more, ""]);
        _folder.GetDirectories().Length.ShouldBe(150);
    }

    [Fact]
    public async Task RunExport_SaysWhereEachRunBelongs_AndItsLabels()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Runs.Runs.Add(
        [
            ARun(0, run =>
            {
                (run.ExperimentId, run.Variant, run.Queue, run.CreatedAt) = (Builders.ExperimentId, "lr-0.1", "night", Builders.At(-90));
                run.Labels["team"] = "vision";
            }),
            ARun(1),
        ]);
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "run", "export")).ShouldBe(ExitCode.Done, run.Error);

        var lines = run.Out.Replace("\"one, or two\"", "one", StringComparison.Ordinal).TrimEnd().Split('\n');
        var names = lines[0].Split(',');
        string[] wanted = ["experiment", "variant", "queue", "created", "labels.team"];
        string[] Cells(int line) => [.. wanted.Select(name => lines[line].Split(',')[Array.IndexOf(names, name)])];
        Cells(1).ShouldBe([Builders.ExperimentId, "lr-0.1", "night", "2026-03-01T11:58:30.0000000Z", "vision"]);
        Cells(2).ShouldBe(["", "", "", "", ""]);
    }

    [Fact]
    public async Task RunExport_OfPoints_OfTheRunsNamed()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Runs.Runs.Add([ARun(0), ARun(1)]);
        cluster.Points.Add(APoint("train/loss", 1, 0.1));
        cluster.Points.Add(APoint("train/loss", 2, double.NaN));
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "run", "export", "0f3c9a11", "--points")).ShouldBe(ExitCode.Done, run.Error);

        run.Out.ShouldBe("""
            run,series,step,epoch,time,value
            0f3c9a11-77e2-4c01-9d8e-0123456789ab,train/loss,1,1,2026-03-01T12:00:01.0000000Z,0.1
            0f3c9a11-77e2-4c01-9d8e-0123456789ab,train/loss,2,1,2026-03-01T12:00:02.0000000Z,NaN

            """);
        cluster.ListedRuns.ShouldBeEmpty();
    }

    [Fact]
    public async Task RunExport_AsParquet_KeepsTypesAndWhatIsNotThere()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Runs.Runs.Add([ARun(0), ARun(1, run => run.Progress = null)]);
        var path = Path.Combine(_folder.FullName, "runs.parquet");
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "run", "export", "--format", "parquet", "-o", path)).ShouldBe(ExitCode.Done, run.Error);

        await using var reader = await ParquetReader.CreateAsync(path, cancellationToken: Cancellation);
        var group = reader.OpenRowGroupReader(0);
        reader.RowGroupCount.ShouldBe(1);
        var fields = reader.Schema.GetDataFields().ToDictionary(field => field.Name);
        var (names, rates, steps) = (new string?[2], new double?[2], new long?[2]);
        var (nesterov, started) = (new bool?[2], new DateTime?[2]);
        await group.ReadAsync(fields["name"], names, cancellationToken: Cancellation);
        await group.ReadAsync<double>(fields["hyperparameters.optimizer.learningRate"], rates, cancellationToken: Cancellation);
        await group.ReadAsync<long>(fields["step"], steps, cancellationToken: Cancellation);
        await group.ReadAsync<bool>(fields["hyperparameters.optimizer.nesterov"], nesterov, cancellationToken: Cancellation);
        await group.ReadAsync<DateTime>(fields["started"], started, cancellationToken: Cancellation);
        names.ShouldBe(["one, or two", "one, or two"]);
        rates.ShouldBe([0.1, 0.1]);
        steps.ShouldBe([2150L, null]);
        nesterov.ShouldBe([false, false]);
        started[0]!.Value.ShouldBe(Builders.At(-75).ToDateTime());
    }

    [Theory]
    [InlineData("run", "tensorboard")]
    [InlineData("run", "export", "--format", "tensorboard")]
    public async Task RunTensorBoard_WritesAFolderForEachRun_WithEventsThatTensorBoardReads(params string[] verb)
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Runs.Runs.Add([ARun(0), ARun(1)]);
        cluster.PointsOf = job => job.StartsWith("0f3c9a10", StringComparison.Ordinal)
            ? [APoint("train/loss", 1, 0.5), APoint("train/loss", 1L << 40, double.PositiveInfinity), APoint("naïve", 0, -1e-3)]
            : [];
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, [.. verb, "-o", _folder.FullName])).ShouldBe(ExitCode.Done, run.Error);

        var files = _folder.GetFiles("*", SearchOption.AllDirectories).OrderBy(file => file.FullName, StringComparer.Ordinal).ToList();
        files.Select(file => file.Directory!.Name).ShouldBe(["one, or two-0f3c9a10", "one, or two-0f3c9a11"]);
        files.ShouldAllBe(file => file.Name.StartsWith("events.out.tfevents."));
        var events = EventFileReader.Read(await File.ReadAllBytesAsync(files[0].FullName, Cancellation));
        events[0].ShouldBe(new ReadEvent(Seconds(-75), 0, "brain.Event:2", null, 0));
        events.Skip(1).ShouldBe([
            new ReadEvent(Seconds(1), 1, null, "train/loss", 0.5f),
            new ReadEvent(Seconds(1L << 40), 1L << 40, null, "train/loss", float.PositiveInfinity),
            new ReadEvent(Seconds(0), 0, null, "naïve", -1e-3f),
        ]);
        EventFileReader.Read(await File.ReadAllBytesAsync(files[1].FullName, Cancellation)).Count.ShouldBe(1);

        static double Seconds(long step) => (Builders.At(step % 1000).ToDateTimeOffset() - DateTimeOffset.UnixEpoch).TotalSeconds;
    }

    [Theory]
    [InlineData("--format is parquet, which no terminal shows; name a place with --output; see ./cluster run export --help",
        "run", "export", "--format", "parquet")]
    [InlineData("runs are named, so that --where and --sort select none; give one or the other",
        "run", "export", "0f3c9a10", "--where", "epochs > 1")]
    [InlineData(
        "RUN is zz but must be 4 to 32 hexadecimal digits of a job's id; ./cluster run list shows them; see ./cluster run compare --help",
        "run", "compare", "0f3c", "zz")]
    [InlineData("--csv and --json are two forms of one answer; give one of them; see ./cluster run list --help",
        "run", "list", "--csv", "--json")]
    public async Task WrongUse_IsToldWithItsRemedy(string said, params string[] arguments)
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, arguments)).ShouldBe(ExitCode.Usage);

        run.Error.ShouldBe(said + "\n");
    }

    private static MetricPoint APoint(string name, long step, double value) =>
        new() { Name = name, Step = step, Epoch = 1, Time = Builders.At(step % 1000), Value = value };

    private static Run ARun(int index, Action<Run>? change = null)
    {
        var job = Builders.AFinishedJob();
        var run = new Run
        {
            JobId = $"{0x0f3c9a10 + index:x8}{Builders.JobId[8..]}",
            Name = "one, or two",
            State = JobState.Succeeded,
            Model = job.Spec.Model,
            Data = job.Spec.Data,
            Hyperparameters = new Hyperparameters(job.Spec.Hyperparameters)
            {
                Optimizer = new OptimizerSpec { Name = "sgd", LearningRate = 0.1 },
            },
            Parallelism = Parallelism.Data,
            Progress = job.Progress,
            StartedAt = job.StartedAt,
            FinishedAt = job.FinishedAt,
        };
        change?.Invoke(run);
        return run;
    }
}
