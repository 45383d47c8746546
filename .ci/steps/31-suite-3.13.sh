. .ci/suite_on.sh 3.13
