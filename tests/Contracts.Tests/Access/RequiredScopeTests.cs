using Cluster.Contracts.Access;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Tests.Access;

public sealed class RequiredScopeTests
{
    [Fact]
    public void ByPath_HasEveryRpcOfClusterV1WithTheScopeItDeclares()
    {
        var files = typeof(JobSpec).Assembly.GetTypes()
            .Where(type => type is { IsAbstract: true, IsSealed: true } && type.Name.EndsWith("Reflection", StringComparison.Ordinal))
            .Select(type => type.GetProperty("Descriptor")?.GetValue(null)).OfType<Google.Protobuf.Reflection.FileDescriptor>();
        var methods = files.SelectMany(file => file.Services).SelectMany(service => service.Methods).ToList();

        RequiredScope.ByPath.Count.ShouldBe(methods.Count);
        foreach (var method in methods)
            RequiredScope.ByPath[$"/{method.Service.FullName}/{method.Name}"].ShouldBe(RequiredScope.Of(method));
        RequiredScope.ByPath["/cluster.v1.JobService/SubmitJob"].ShouldBe(Scope.Submitter);
        RequiredScope.ByPath["/cluster.v1.AttemptService/Report"].ShouldBe(Scope.Attempt);
    }

    [Theory]
    [InlineData(Scope.Admin, Scope.Viewer, true)]
    [InlineData(Scope.Submitter, Scope.Submitter, true)]
    [InlineData(Scope.Viewer, Scope.Submitter, false)]
    [InlineData(Scope.Admin, Scope.Node, false)]
    [InlineData(Scope.Node, Scope.Node, true)]
    [InlineData(Scope.Node, Scope.Viewer, false)]
    [InlineData(Scope.Attempt, Scope.Node, false)]
    [InlineData(Scope.Unspecified, Scope.Unspecified, false)]
    public void Allows_IncludesLesserScopesOfPeopleOnly(Scope held, Scope needed, bool allowed) => held.Allows(needed).ShouldBe(allowed);

    [Theory]
    [InlineData("Bearer abc", "abc")]
    [InlineData("bearer  abc ", "abc")]
    [InlineData("Basic abc", null)]
    [InlineData("Bearer ", null)]
    [InlineData(null, null)]
    public void TokenOf_ReadsBearerTokensOnly(string? authorization, string? token) => CallMetadata.TokenOf(authorization).ShouldBe(token);
}
