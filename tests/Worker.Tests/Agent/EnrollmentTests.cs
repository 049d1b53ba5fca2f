using Cluster.Contracts.Access;
using Cluster.Worker.Agent;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Tests.Agent;

/// <summary>How an agent comes by a token that only it has.</summary>
public sealed class EnrollmentTests : AgentTest
{
    [Fact]
    public async Task Code_IsExchangedAtTheFirstStart_AndTheTokenIsKeptForTheOwnerOnly()
    {
        using var folder = new StateFolder();
        await StartAndStopAsync(folder);
        var token = await File.ReadAllTextAsync(folder.Token, End);
        File.Delete(folder.Code);

        await StartAndStopAsync(folder);

        Scheduler.Enrolled.ShouldHaveSingleItem().TokenSha256.ToByteArray().ShouldBe(AccessSecret.Hash(token.Trim()));
        AccessSecret.IsWellFormed(AccessSecret.Node, token.Trim()).ShouldBeTrue();
        File.GetUnixFileMode(folder.Token).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        (await File.ReadAllTextAsync(folder.Token, End)).ShouldBe(token);
    }

    [Fact]
    public async Task AnswerThatIsLost_IsAskedForAgain_WithTheSameToken()
    {
        using var folder = new StateFolder();
        var lost = 1;
        Scheduler.OnEnroll = () =>
        {
            if (Interlocked.Decrement(ref lost) >= 0)
                throw new RpcException(new Status(StatusCode.Unavailable, "the answer is lost"));
        };

        await StartAndStopAsync(folder);

        Scheduler.Enrolled.Count.ShouldBe(2);
        Scheduler.Enrolled.Distinct().ShouldHaveSingleItem();
    }

    [Fact]
    public async Task CodeThatIsRefused_EndsTheAgent_AndItsTokenIsTriedAgainAtTheNextStart()
    {
        using var folder = new StateFolder();
        await File.WriteAllTextAsync(folder.Code, "another code", End);
        await using (var app = Build(folder))
        {
            await app.StartAsync(End);
            await app.WaitForShutdownAsync(End);
            app.Services.GetRequiredService<AgentExit>().Code.ShouldBe(1);
        }

        File.Exists(folder.Token).ShouldBeFalse();
        var pending = (await File.ReadAllTextAsync(folder.Token + ".new", End)).Trim();
        await File.WriteAllTextAsync(folder.Code, FakeScheduler.EnrollmentCode, End);
        await StartAndStopAsync(folder);

        (await File.ReadAllTextAsync(folder.Token, End)).Trim().ShouldBe(pending);
    }

    [Fact]
    public void Agent_WithNoTokenAndNoCode_IsNotBuilt()
    {
        using var folder = new StateFolder();

        var refusal = Should.Throw<OptionsValidationException>(() => AgentHost.Build([$"--Agent:StateFolder={folder.Path}"]));

        refusal.Message.ShouldContain("Agent:NodeTokenFile and Agent:EnrollmentCodeFile are empty");
    }

    private async Task StartAndStopAsync(StateFolder folder)
    {
        await using var app = Build(folder);
        await app.StartAsync(End);
        await Scheduler.Registrations.Reader.ReadAsync(End);
        await app.StopAsync(End);
    }

    private WebApplication Build(StateFolder folder) => AgentHost.Build(
        [
            $"--Agent:SchedulerAddress=http://127.0.0.1:{Scheduler.Port}", $"--Agent:EnrollmentCodeFile={folder.Code}",
            $"--Agent:StateFolder={folder.Path}", "--Agent:Name=node-a", "--Agent:CpuSlots=1", "--Agent:ShutdownGrace=00:00:00",
        ], services => services.AddLogging(logging => logging.ClearProviders()));

    private sealed class StateFolder : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("agent-tests-");

        public StateFolder() => File.WriteAllText(Code, FakeScheduler.EnrollmentCode + "\n");

        public string Path => System.IO.Path.Combine(_folder.FullName, "state");

        public string Code => System.IO.Path.Combine(_folder.FullName, "code");

        public string Token => System.IO.Path.Combine(Path, "node-token");

        public void Dispose() => _folder.Delete(recursive: true);
    }
}
