using Cluster.Contracts.JobFiles;

namespace Cluster.Contracts.Tests.JobFiles;

public sealed class JobFileSettingsTests
{
    private const string Sound = "model: lenet5\ndata: fashion-mnist\nhyperparameters: {epochs: 3, optimizer: adam}\n";

    public static TheoryData<string> Examples => ExamplesTests.Files;

    [Fact]
    public void Apply_PutsEachValueInItsPlace_TheLastOfSeveral()
    {
        var yaml = JobFileSettings.Apply(Sound,
        [
            "hyperparameters.epochs=7", "hyperparameters.epochs=8", "hyperparameters.optimizer.learningRate=0.5",
            "model.options.activation=relu", "name=a-name", "labels.note=\"1.5\"", "after=[0f3c9a1b]", "restarts={maxRestarts: 0}",
        ]);

        JobFile.Parse(yaml).ShouldBe(JobFile.Parse("""
            name: a-name
            model: {name: lenet5, options: {activation: relu}}
            data: fashion-mnist
            hyperparameters: {epochs: 8, optimizer: {name: adam, learningRate: 0.5}}
            labels: {note: "1.5"}
            after: [0f3c9a1b]
            restarts: {maxRestarts: 0}
            """));
    }

    [Fact]
    public void Apply_OfAnArray_MakesOneOfTheFile() =>
        ExperimentFile.Parse(JobFileSettings.Apply(Sound, ["seed=${index}", "array=3-5%2"])).Members.Select(member => member.Spec.Seed)
            .ShouldBe([3UL, 4UL, 5UL]);

    [Theory]
    [MemberData(nameof(Examples))]
    public void Apply_LeavesTheRestAsItIs(string file)
    {
        var yaml = File.ReadAllText(Path.Combine(Repository.Root, "examples", file));
        var set = JobFileSettings.Apply(yaml, ["priority=7"]);

        if (ExperimentFile.Describes(yaml))
        {
            foreach (var (before, after) in ExperimentFile.Parse(yaml).Members.Zip(ExperimentFile.Parse(set).Members))
            {
                before.Spec.Priority = 7;
                // It was written down then, if it was not before.
                after.Spec.Given.ShouldContain("priority");
                before.Spec.Given.Remove("priority");
                after.Spec.Given.Remove("priority");
                after.ShouldBe(before);
            }
        }
        else
        {
            var before = JobFile.Parse(yaml);
            before.Priority = 7;
            JobFile.Parse(set).ShouldBe(before);
        }
    }

    [Theory]
    [InlineData("seed", "KEY=VALUE is seed but must have a key and a value; write it as seed=3")]
    [InlineData("=3", "KEY=VALUE is =3 but must have a key and a value; write it as seed=3")]
    [InlineData("sede=3", "sede is 3 but no job file has such a key; did you mean seed?")]
    [InlineData("seed=[3", "seed is [3 but is no value; quote it within the setting")]
    [InlineData("hyperparameters.epochs=ten",
        "line 3: hyperparameters.epochs is ten but must be a whole number from 1 to 100000; write a number such as 10")]
    [InlineData("hyperparameters.epochs=", "line 3: hyperparameters.epochs is empty; give it a value or leave the key out")]
    public void Apply_OfAWrongSetting_SaysSo(string setting, string message) =>
        Should.Throw<JobFileException>(() => JobFileSettings.Apply(Sound, [setting])).Message.ShouldBe(message);

    [Fact]
    public void Apply_ToAFileThatIsWrong_NamesItsOwnLine() =>
        Should.Throw<JobFileException>(() => JobFileSettings.Apply("# one\n\n" + Sound + "sede: 3\n", ["seed=3"])).Message
            .ShouldBe("line 6: sede is 3 but no such key exists; did you mean seed?");
}
