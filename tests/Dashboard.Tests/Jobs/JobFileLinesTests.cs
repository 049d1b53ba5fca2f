using Cluster.Contracts.JobFiles;
using Cluster.Dashboard.Jobs;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.Jobs;

public sealed class JobFileLinesTests
{
    [Fact]
    public void WhatDiffersFromTheDefaults_IsMarked_AndNothingElse()
    {
        var spec = JobFile.Parse("""
            name: mine
            model: lenet5
            data: fashion-mnist
            hyperparameters: {epochs: 3, optimizer: {name: adam}}
            resources: {devices: 2, nodeLabels: {rack: r1}}
            after: [0f3c9a1b, 1f3c9a1b]
            """);

        var lines = JobFileLines.Of(spec);

        string.Join('\n', lines.Select(line => line.Text)).ShouldBe(JobFile.Write(spec).TrimEnd('\n'));
        var set = lines.Where(line => line.IsSet).Select(line => line.Text.Trim()).ToList();
        string[] given = ["name: mine", "name: lenet5", "name: fashion-mnist", "epochs: 3", "name: adam", "devices: 2", "rack: r1"];
        given.Except(set).ShouldBeEmpty();
        set.Count(line => line.Contains("f3c9a1b", StringComparison.Ordinal)).ShouldBe(2);
        set.ShouldNotContain(line => line.StartsWith("globalBatchSize", StringComparison.Ordinal));
        lines.ShouldContain(line => line.Text.Trim().StartsWith("globalBatchSize", StringComparison.Ordinal));
    }

    [Fact]
    public void FileOfAFolderOfPictures_IsComparedWithOneOfTheSameFolder()
    {
        var spec = JobFile.Parse(
            "{name: mine, model: resnet18, data: {name: image-folder, folder: photos, classes: 7}, hyperparameters: {epochs: 3}}");

        var set = JobFileLines.Of(spec).Where(line => line.IsSet).Select(line => line.Text.Trim()).ToList();

        set.ShouldContain("folder: photos");
        set.ShouldContain("epochs: 3");
        set.ShouldNotContain(line => line.StartsWith("seed", StringComparison.Ordinal));
    }

    [Fact]
    public void FileAsItIsMadeUpForTests_HasItsOwnSettingsMarked() =>
        JobFileLines.Of(Some.Job("a").Spec).Where(line => line.IsSet).Select(line => line.Text.Trim())
            .ShouldContain("learningRate: 0.002");
}
